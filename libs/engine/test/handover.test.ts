import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'
import { defineStage, type StageContext, Transient } from '@weir/sdk'
import type { StageInstance } from '../src/start-stage.ts'
import { type Installation, openInstallation, until } from './support.ts'

/*
 * Instances come and go as planned, under load: no task may start twice, because what a partition
 * has under way is ended and committed before the partition is another's.
 */

/** Counts the starts of each attempt; all instances of a test are in this process. */
function countingStages() {
  const starts = new Map<string, number>()
  const note = ({ job, step, item, attempt }: StageContext) => {
    const key = `${job}/${step}/${item}/${attempt}`
    starts.set(key, (starts.get(key) ?? 0) + 1)
  }
  const fan = defineStage({
    name: 'fan',
    version: '1.0.0',
    concurrency: 8,
    async run(input, ctx) {
      note(ctx)
      await pause(20)
      const { n } = input as { n: number }
      return Array.from({ length: 3 }, (_, i) => n * 10 + i)
    },
  })
  const work = defineStage({
    name: 'work',
    version: '1.0.0',
    concurrency: 8,
    async run(input, ctx) {
      note(ctx)
      await pause(10 + Math.random() * 40)
      if (ctx.attempt === 1 && (input as number) % 7 === 0) {
        throw new Transient('busy', 'once', { retryAfterMs: 50 })
      }
      return (input as number) * 3
    },
  })
  const total = defineStage({
    name: 'total',
    version: '1.0.0',
    concurrency: 8,
    async run(input, ctx) {
      note(ctx)
      await pause(10)
      return (input as number[]).reduce((a, b) => a + b, 0)
    },
  })
  const again = () => [...starts].filter(([, count]) => count > 1)
  return { stages: [fan, work, total], starts, again }
}

async function underLoad(
  t: TestContext,
  rounds: number,
  act: (
    weir: Installation,
    instances: StageInstance[][],
    start: () => StageInstance[],
  ) => Promise<void>,
) {
  const { stages, starts, again } = countingStages()
  const weir = await openInstallation(t, stages, { partitions: 6 })
  const plan = await weir.publish({
    steps: {
      fan: { stage: 'fan@1' },
      work: { stage: 'work@1', after: [{ step: 'fan', each: true }] },
      total: { stage: 'total@1', after: [{ step: 'work', gather: true }] },
    },
  })
  // Neither a busy machine's pauses nor its slowness are what is tested.
  const patient = { sessionTimeoutMs: 20_000, graceMs: 30_000 }
  const start = () => stages.map((stage) => weir.start(stage, patient))
  const instances = [start(), start(), start()]
  await weir.ready(...instances.flat())
  const jobs: string[] = []
  const done = () =>
    new Set(weir.reports.flatMap(({ run }) => (run.step === 'total' ? [run.job] : []))).size
  let isFed = false
  const feed = async () => {
    while (!isFed) {
      await Promise.all(
        Array.from({ length: 10 }, async () => {
          jobs.push('')
          const n = jobs.length - 1
          jobs[n] = await weir.submit(plan, { n })
        }),
      )
      await until('room', () => jobs.length - done() < 200, 60_000)
    }
  }
  const feeding = feed()
  for (let round = 0; round < rounds; round += 1) {
    const before = done()
    await until('the load to be there', () => done() > before + 20, 60_000)
    await act(weir, instances, start)
  }
  isFed = true
  await feeding
  await until('all jobs', () => done() >= jobs.length, 60_000)
  assert.deepEqual(again(), [])
  for (const [n, job] of jobs.entries()) {
    const ended = weir.reportsOf(job, 'total')
    assert.equal(ended.length, 1, `job ${n}`)
    assert.equal(ended[0]?.output, String((n * 30 + 3) * 3), `job ${n}`)
    for (let item = 0; item < 3; item += 1) {
      const attempts = (n * 10 + item) % 7 === 0 ? 2 : 1
      for (let attempt = 1; attempt <= attempts; attempt += 1) {
        assert.equal(starts.get(`${job}/work/${item}/${attempt}`), 1, `job ${n} item ${item}`)
      }
    }
  }
  assert.equal(weir.deadLetters.length, 0)
  t.diagnostic(`${jobs.length} jobs, ${starts.size} attempts`)
}

const ROUNDS = Number(process.env.WEIR_HANDOVER_ROUNDS ?? 2)

test('an instance that is told to stop under load leaves nothing that starts a second time', async (t) => {
  await underLoad(t, ROUNDS, async (_weir, instances, start) => {
    const leaving = instances.shift() ?? []
    await Promise.all(leaving.map((instance) => instance.stop()))
    instances.push(start())
  })
})

test('an instance that comes under load takes its share, and nothing starts a second time', async (t) => {
  await underLoad(t, ROUNDS, async (weir, instances, start) => {
    const added = start()
    instances.push(added)
    const shares = () =>
      added.map(({ instanceId }) => weir.instances.get(instanceId)?.partitions.length ?? 0)
    await until('its share', () => shares().every((count) => count > 0), 60_000)
  })
})
