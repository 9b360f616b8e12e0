import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { act } from '../support/act-step.ts'
import { startOtlpSink } from '../support/otlp-sink.ts'
import { startSystem } from '../support/system.ts'
import { until } from '../support/until.ts'

const JOBS = 25
const ITEMS = 500
/** More than its queue and the batches on their way, one given up and the next (spans), and than its buffer (lines), can hold. */
const TASKS = JOBS * ITEMS
const SPANS_MAX = 16_384 + 2 * 2_048

const sink = await startOtlpSink()
after(() => sink.close())
const system = await startSystem({
  stages: [{ name: 'stalled' }],
  env: { WEIR_OTLP_URL: sink.url },
})
after(() => system.stop())
const { client } = await system.tenant('overflow')

const dropped = (samples: ReadonlyMap<string, number>, signal: string, reason: string) =>
  samples.get(`weir_telemetry_dropped_total{reason="${reason}",signal="${signal}"}`) ?? 0

/** What the process has told of its losses, in its log. */
const toldOf = (signal: string) =>
  system
    .log('stalled')
    .filter((line) => line.signal === signal && typeof line.lost === 'number')
    .reduce((sum, { lost }) => sum + (lost as number), 0)

test('while spans and lines overflow, no transition is lost and every job completes', async () => {
  const stage = 'stalled@1'
  await client.publish('loud', {
    steps: {
      split: act('range', { stage, config: { n: ITEMS } }),
      each: act('loud', { stage, after: [{ step: 'split', each: true }] }),
      all: act('count', { stage, after: [{ step: 'each', gather: true }] }),
    },
  })
  sink.answer('nothing')
  const ids = await client.submitBatch('loud', Array(JOBS).fill(0))
  const watched = { queued: 0, isOver: false }
  const watching = until(
    'the end of the jobs',
    async () => {
      const samples = await system.metrics('stalled')
      watched.queued = Math.max(watched.queued, samples.get('weir_telemetry_queued_spans') ?? 0)
      return watched.isOver
    },
    90_000,
  )
  const jobs = await client.allEnded(ids)
  watched.isOver = true
  await watching

  const stalled = await system.metrics('stalled')
  assert.ok(dropped(stalled, 'traces', 'queue_full') > 0, 'no span was dropped')
  assert.ok(dropped(stalled, 'logs', 'buffer_full') > 0, 'no line was dropped')
  assert.ok(
    watched.queued > SPANS_MAX / 2 && watched.queued <= SPANS_MAX,
    `${watched.queued} spans`,
  )

  assert.deepEqual(
    jobs.map(({ status, result }) => [status, result]),
    jobs.map(() => ['completed', { items: ITEMS, manifest: { total: ITEMS, missing: [] } }]),
  )
  const items = Array.from({ length: ITEMS }, (_, n) => `each/${n}`)
  for (const id of ids) {
    const events = await client.events(id)
    assert.deepEqual(
      events.map(({ seq }) => seq),
      events.map((_, at) => at + 1),
    )
    assert.equal(events.at(-1)?.type, 'job.completed')
    assert.deepEqual(
      events
        .filter(({ type }) => type === 'task.completed')
        .map(({ step, item = '' }) => `${step}/${item}`)
        .sort(),
      ['split/', 'all/', ...items].sort(),
    )
  }
})

test('when collector and reader are back, what was lost stands in the log, once and all of it', async () => {
  sink.answer({ status: 200, afterMs: 0 })
  process.kill(system.pid('stalled') as number, 'SIGUSR2')
  await until('all losses to be told of', async () => {
    const samples = await system.metrics('stalled')
    const spans =
      dropped(samples, 'traces', 'queue_full') + dropped(samples, 'traces', 'export_failed')
    return toldOf('traces') === spans && toldOf('logs') === dropped(samples, 'logs', 'buffer_full')
  })
  const samples = await system.metrics('stalled')
  const said = system.log('stalled').filter(({ msg }) => msg === 'loud').length
  assert.ok(said < TASKS)
  assert.ok(
    said + dropped(samples, 'logs', 'buffer_full') >= TASKS,
    'a line is neither here nor there',
  )
  await until('an empty queue', async () => {
    const now = await system.metrics('stalled')
    return now.get('weir_telemetry_queued_spans') === 0
  })
  const { traceId } = await client.run('loud', 0)
  await until('the spans of a job after it', () =>
    sink.trace(traceId ?? '').some(({ service }) => service === 'stage-stalled'),
  )
})
