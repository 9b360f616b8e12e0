import assert from 'node:assert/strict'
import { test } from 'node:test'
import { trace } from '@opentelemetry/api'
import { Type } from 'typebox'
import { defineStage, Permanent, testStage } from './index.ts'

/** The example of the documentation. */
const airports = new Map([['SEA', { latitude: 47.4, longitude: -122.3 }]])
const locate = defineStage({
  name: 'locate',
  version: '1.0.1',
  kind: 'enrich',
  input: Type.Object({ origin: Type.String() }),
  output: Type.Object({ latitude: Type.Number() }),
  timeoutMs: 5_000,
  concurrency: 16,
  retry: { attempts: 3 },
  async run(input, ctx) {
    const airport = airports.get(input.origin)
    if (!airport) throw new Permanent('unknown_airport', `No airport ${input.origin}`)
    ctx.log.info({ attempt: ctx.attempt }, 'found')
    ctx.progress(1, 1)
    ctx.onCleanup(() => {})
    await ctx.budget('lookups').take()
    ctx.span.setAttribute('weir.test', true)
    await trace.getTracer('test').startActiveSpan('lookup', async (span) => span.end())
    return { latitude: airport.latitude }
  },
})

test('a test sees outcome, logs, spans, cleanups and progress', async () => {
  const result = await testStage(locate).run({ origin: 'SEA' }, { attempt: 2 })
  assert.deepEqual(result.outcome, {
    status: 'ok',
    output: { latitude: 47.4 },
    json: '{"latitude":47.4}',
    taken: null,
  })
  const [line] = result.logs
  assert.equal(line?.msg, 'found')
  assert.equal(line?.attempt, 2)
  for (const field of ['tenant', 'job', 'run', 'correlation', 'stage', 'step', 'item']) {
    assert.ok(line !== undefined && field in line, field)
  }
  assert.deepEqual(
    result.spans.map(({ name, parent, ended }) => ({ name, parent, ended })),
    [
      { name: 'locate@1 process', parent: null, ended: true },
      { name: 'lookup', parent: 'locate@1 process', ended: true },
    ],
  )
  assert.deepEqual(result.spans[0]?.attributes, { 'weir.test': true })
  assert.deepEqual(result.cleanups, [{ status: 'done' }])
  assert.deepEqual(result.progress, [{ done: 1, total: 1 }])
})

test('an author’s error is the outcome', async () => {
  const { outcome } = await testStage(locate).run({ origin: 'XXX' })
  assert.deepEqual(outcome, {
    status: 'fail',
    error: { code: 'unknown_airport', message: 'No airport XXX', class: 'permanent' },
  })
})

test('inputs go through JSON, as messages do', async () => {
  const stage = defineStage({ name: 'some', version: '1.0.0', run: (input) => typeof input })
  const { outcome } = await testStage(stage).run(new Date(0))
  assert.equal(outcome.status === 'ok' && outcome.output, 'string')
})
