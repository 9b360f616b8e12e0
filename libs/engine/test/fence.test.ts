import assert from 'node:assert/strict'
import { test } from 'node:test'
import { limits } from '@weir/contracts'
import { defineStage } from '@weir/sdk'
import { steady } from './fixtures/stages.ts'
import { startProcess } from './process.ts'
import { openInstallation, until } from './support.ts'

const starts: { job: string; atMs: number }[] = []
const aborted: string[] = []
const cleaned: string[] = []
const slow = defineStage({
  name: 'slow',
  version: '1.0.0',
  concurrency: 2,
  async run(_input, ctx) {
    starts.push({ job: ctx.job, atMs: performance.now() })
    ctx.onCleanup(() => {
      cleaned.push(ctx.job)
    })
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, 10_000)
      ctx.signal.addEventListener('abort', () => {
        clearTimeout(timer)
        aborted.push(ctx.job)
        resolve()
      })
    })
    return {}
  },
})
const quick = defineStage({ name: 'quick', version: '1.0.0', run: () => ({}) })

test('a fence aborts what runs, nothing of the run starts after it, and it is acknowledged', async (t) => {
  const weir = await openInstallation(t, [slow, quick])
  const plan = await weir.publish({
    steps: { slow: { stage: 'slow@1' }, quick: { stage: 'quick@1', after: ['slow'] } },
  })
  const one = weir.start(slow)
  await weir.ready(one, weir.start(quick))
  const jobs = await Promise.all([1, 2, 3, 4].map((n) => weir.submit(plan, { n })))
  await until('two run', () => starts.length === 2)
  const fences = await Promise.all(jobs.map((job) => weir.fence(job)))
  const fencedAtMs = performance.now()
  await until('both are aborted', () => aborted.length === 2 && cleaned.length === 2, 3_000)
  await until('the fences are acknowledged', () => {
    const record = weir.instances.get(one.instanceId)
    return (
      record !== undefined &&
      record.controlOffset > Math.max(...fences) &&
      record.cleaning.length === 0
    )
  })
  assert.ok(performance.now() - fencedAtMs < 3_000)
  const after = await weir.submit(plan, { n: 5 })
  await until('the next job runs', () => starts.some(({ job }) => job === after))
  assert.deepEqual(
    starts.map(({ job }) => job).filter((job) => job !== after).length,
    2,
    'a task of a fenced run started',
  )
  for (const job of jobs) assert.deepEqual(weir.reportsOf(job), [])
  assert.equal(one.counters.absorbed, 4)
  await weir.fence(after)
})

test('an instance that was frozen starts nothing of runs that were fenced meanwhile', async (t) => {
  const weir = await openInstallation(t, [steady])
  const plan = await weir.publish({ steps: { steady: { stage: 'steady@1' } } })
  const one = startProcess(t, weir, 'steady')
  const jobs = await Promise.all(Array.from({ length: 40 }, (_, n) => weir.submit(plan, { n })))
  const begun = () =>
    one.lines.flatMap((line) => (line.startsWith('{"begins"') ? [JSON.parse(line).begins] : []))
  await until('some run', () => begun().length >= 4)
  process.kill(one.pid, 'SIGSTOP')
  const frozenAtMs = performance.now()
  const before = new Set(begun())
  for (const job of jobs) if (!before.has(job)) await weir.fence(job)
  const after = await weir.submit(plan, { n: 41 })
  await until('its fences are old', () => performance.now() - frozenAtMs > limits.fenceFreshMs)
  process.kill(one.pid, 'SIGCONT')
  await until('it goes on', () => begun().includes(after))
  assert.deepEqual(new Set(begun()), new Set([...before, after]))
})
