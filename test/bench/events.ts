/**
 * What it costs that handlers say more than is passed on: `node test/bench/events.ts [seconds] [rounds]`.
 * 100 jobs a second, each of which says nine things, at stages that pass on 100 things a second with a
 * queue of 100, one for each policy; beside them in the same rounds jobs that say nothing, and jobs all
 * of whose words are passed on. Then once ten times as many words. Prints a table; ends with 0 where
 * every job had its result and every word is accounted for, whatever the figures.
 */
import { startSystem } from '../support/system.ts'
import { monotonicMs } from './clock.ts'
import { cpuBetween, readCpu } from './cpu.ts'
import { describeMachine, describeVersions, readLoad } from './machine.ts'
import { sendOnSchedule } from './open-loop.ts'
import { medianOf, quantilesOf } from './quantiles.ts'
import type { TalkFigures } from './stages/talk.ts'

const JOBS_PER_SECOND = 100
const SAYS = 9
const SAYS_MUCH = 100
const PASSED_PER_SECOND = 100

const kinds = [
  { kind: 'says nothing', stage: 'talk-wide', says: 0 },
  { kind: 'all passed on', stage: 'talk-wide', says: SAYS },
  { kind: '`reject`', stage: 'talk-reject', says: SAYS },
  { kind: '`drop_oldest`', stage: 'talk-drop-oldest', says: SAYS },
] as const
/** Its jobs wait until all that they say is passed on: so it is offered for a few seconds only. */
const block = { kind: '`block`, offered for 3 s', stage: 'talk-block', says: SAYS }
const BLOCK_SECONDS = 3
type Kind = { readonly kind: string; readonly stage: string; readonly says: number }

type Sample = {
  readonly p50: number
  readonly p99: number
  readonly perSecond: number
  readonly lostPercent: number
  readonly callP99Ms: number
  readonly loopP99Ms: number
  readonly rssGrowthMiB: number
  readonly cpuMsPerJob: number
}

const seconds = Number(process.argv[2] ?? 20)
const rounds = Number(process.argv[3] ?? 3)
const stages = ['talk-wide', 'talk-block', 'talk-reject', 'talk-drop-oldest']
const system = await startSystem({
  stages: stages.map((name) => ({ name, file: '../../bench/stages/talk' })),
  logLevel: 'warn',
})
try {
  const { client } = await system.tenant('events', {
    submitRatePerSecond: 10_000,
    submitBurst: 10_000,
  })
  for (const name of stages) await client.publish(name, { steps: { only: { stage: `${name}@1` } } })
  const load = readLoad()

  const run = async (stage: string, input: unknown) => {
    const path = `/v1/pipelines/${stage}/jobs?wait=60000`
    const job = await client.call<{ status: string; result: unknown }>('POST', path, {
      body: { input },
    })
    if (job.status !== 'completed') throw new Error(`a job of ${stage} is ${job.status}`)
    return job.result
  }
  const takeFigures = async (stage: string) => (await run(stage, { figures: true })) as TalkFigures

  const books = async (stage: string) => {
    const samples = await system.metrics(stage)
    const lost = [...samples]
      .filter(([name]) => /^weir_telemetry_dropped_total\{.*signal="events"/.test(name))
      .reduce((sum, [, count]) => sum + count, 0)
    const of = (name: string) => samples.get(`weir_stage_events_${name}`) ?? 0
    const offered = of('offered_total')
    if (offered !== of('delivered_total') + of('queued') + lost)
      throw new Error(`the books of ${stage} do not add up`)
    return { offered, lost }
  }

  const measure = async ({ stage, says }: Kind, forSeconds: number): Promise<Sample> => {
    const { rssMiB } = await takeFigures(stage)
    const before = await books(stage)
    const pids = { stage: system.pid(stage) as number }
    const cpuBefore = readCpu(pids)
    const startedAt = performance.now()
    const latencyMs: number[] = []
    const sends: Promise<void>[] = []
    const count = JOBS_PER_SECOND * forSeconds
    await sendOnSchedule({ perSecond: JOBS_PER_SECOND, count }, (_, intendedAtMs) => {
      const sent = run(stage, { say: says }).then((result) => {
        if (result !== says) throw new Error(`a job of ${stage} came back with another result`)
        latencyMs.push(monotonicMs() - intendedAtMs)
      })
      sent.catch(() => {})
      sends.push(sent)
    })
    await Promise.all(sends)
    const elapsedS = (performance.now() - startedAt) / 1_000
    const { stage: cpuMs = Number.NaN } = cpuBetween(cpuBefore, readCpu(pids))
    const figures = await takeFigures(stage)
    const after = await books(stage)
    const { p50, p99 } = quantilesOf(latencyMs)
    const offered = after.offered - before.offered
    return {
      p50,
      p99,
      perSecond: count / elapsedS,
      lostPercent: offered === 0 ? 0 : (100 * (after.lost - before.lost)) / offered,
      callP99Ms: figures.callP99Ms,
      loopP99Ms: figures.loopP99Ms,
      rssGrowthMiB: figures.rssMiB - rssMiB,
      cpuMsPerJob: cpuMs / count,
    }
  }

  for (const kind of kinds) await measure(kind, Math.min(5, seconds))
  const samples = new Map<string, Sample[]>()
  for (let round = 0; round < rounds; round += 1) {
    for (const kind of kinds) {
      const sample = await measure(kind, seconds)
      samples.set(kind.kind, [...(samples.get(kind.kind) ?? []), sample])
    }
  }
  samples.set(block.kind, [await measure(block, BLOCK_SECONDS)])
  const much = new Map<string, Sample[]>()
  for (const kind of kinds.slice(2)) {
    much.set(kind.kind, [await measure({ ...kind, says: SAYS_MUCH }, Math.min(10, seconds))])
  }
  const { cpu, cores, kernel } = describeMachine()
  const { node, commit } = describeVersions()
  const theory = (says: number) => 100 * (1 - PASSED_PER_SECOND / (says * JOBS_PER_SECOND))
  console.log(
    `Measured ${new Date().toISOString().slice(0, 10)} at ${commit} on ${cores} cores (${cpu}), ${kernel}, ` +
      `Node ${node}; load before ${load.loadAverage1}. ${rounds} rounds of ${seconds} s, medians; ` +
      `${JOBS_PER_SECOND} jobs a second.\n`,
  )
  console.log(
    `${SAYS} words a job (what cannot be passed on: ${theory(SAYS).toFixed(1)} %):\n\n${describe(samples)}\n`,
  )
  console.log(
    `${SAYS_MUCH} words a job (${theory(SAYS_MUCH).toFixed(1)} %), once:\n\n${describe(much)}`,
  )
} finally {
  await system.stop()
}

function describe(all: ReadonlyMap<string, readonly Sample[]>): string {
  const middle = (some: readonly Sample[], of: keyof Sample) =>
    medianOf(some.map((sample) => sample[of]))
  const [base = []] = all.values()
  const rows = [...all].map(([kind, some]) => {
    const ratio = middle(some, 'p99') / middle(base, 'p99')
    const cells = [
      middle(some, 'p50').toFixed(1),
      middle(some, 'p99').toFixed(1),
      ratio.toFixed(2),
      middle(some, 'perSecond').toFixed(1),
      middle(some, 'lostPercent').toFixed(1),
      middle(some, 'callP99Ms').toFixed(2),
      middle(some, 'loopP99Ms').toFixed(1),
      Math.max(...some.map(({ rssGrowthMiB }) => rssGrowthMiB)).toFixed(1),
      middle(some, 'cpuMsPerJob').toFixed(2),
    ]
    return `| ${kind} | ${cells.join(' | ')} |`
  })
  return [
    '|  | p50 ms | p99 ms | ÷ first row | jobs/s | words lost % | a word keeps the handler, p99 ms | event loop late, p99 ms | memory grows by at most, MiB | CPU of the stage, ms a job |',
    '|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|',
    ...rows,
  ].join('\n')
}
