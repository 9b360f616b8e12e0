import assert from 'node:assert/strict'
import { test } from 'node:test'
import { startOtlpSink } from '../../../test/support/otlp-sink.ts'
import { fan, total, work } from './fixtures/stages.ts'
import { startProcess } from './process.ts'
import { openInstallation, until } from './support.ts'

const TRACE = 'a1'.repeat(16)
const ROOT = 'b2'.repeat(8)

test('a run is one trace: each task is the child of the send before it, a join links to all its parts', async (t) => {
  const sink = await startOtlpSink()
  t.after(() => sink.close())
  const weir = await openInstallation(t, [fan, work, total])
  const plan = await weir.publish({
    steps: {
      fan: { stage: 'fan@1' },
      work: { stage: 'work@1', after: [{ step: 'fan', each: true }] },
      total: { stage: 'total@1', after: [{ step: 'work', gather: true }] },
    },
  })
  const processes = ['fan', 'work', 'total'].map((name) =>
    startProcess(t, weir, name, { WEIR_OTLP_URL: sink.url, WEIR_SERVICE_NAME: `stage-${name}` }),
  )
  const job = await weir.submit(plan, { n: 3 }, { traceparent: `00-${TRACE}-${ROOT}-01` })
  const unsampled = await weir.submit(
    plan,
    { n: 3 },
    { traceparent: `00-${'c3'.repeat(16)}-${ROOT}-00` },
  )
  await weir.untilReported(job, 'total')
  await weir.untilReported(unsampled, 'total')
  await Promise.all(processes.map((one) => one.end('SIGTERM')))
  await until('all spans', () => sink.trace(TRACE).length >= 14)

  const spans = sink.trace(TRACE)
  const named = (what: string, step: string) =>
    spans.filter(
      ({ name, attributes }) => name.startsWith(what) && attributes['weir.step'] === step,
    )
  const [fanned, ...others] = named('process', 'fan')
  assert.equal(others.length, 0)
  assert.equal(fanned?.parentId, ROOT)
  const items = named('send', 'fan')
  assert.equal(items.length, 4)
  for (const item of items) assert.equal(item.parentId, fanned?.spanId)
  const worked = named('process', 'work')
  assert.deepEqual(
    worked.map(({ parentId }) => parentId).toSorted(),
    items.map(({ spanId }) => spanId).toSorted(),
  )
  const sent = named('send', 'work')
  assert.deepEqual(
    sent.map(({ parentId }) => parentId).toSorted(),
    worked.map(({ spanId }) => spanId).toSorted(),
  )
  const [joined] = named('process', 'total')
  const parent = sent.find(({ spanId }) => spanId === joined?.parentId)
  assert.ok(parent, 'the join is the child of its completing part')
  assert.deepEqual(
    joined?.links.map(({ spanId }) => spanId).toSorted(),
    sent
      .filter((span) => span !== parent)
      .map(({ spanId }) => spanId)
      .toSorted(),
  )
  assert.equal(joined?.attributes['weir.job.id'], job)
  assert.equal(joined?.attributes['messaging.message.conversation_id'], `corr-${job}`)
  assert.equal(Number(joined?.attributes['weir.attempt']), 1)
  assert.ok(Number(joined?.attributes['weir.queue.wait_ms']) >= 0)
  assert.deepEqual(
    [...new Set(sink.spans.map(({ traceId }) => traceId))],
    [TRACE],
    'a trace that is not sampled makes no spans',
  )
  const run = weir.reports.find(({ run }) => run.job === unsampled)?.run
  assert.equal(run?.traceparent, `00-${'c3'.repeat(16)}-${ROOT}-00`)
})
