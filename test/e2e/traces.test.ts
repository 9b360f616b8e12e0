import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { HEADERS, type MessageMeta } from '@weir/contracts'
import type { KafkaRecord } from '@weir/kafka'
import { act } from '../support/act-step.ts'
import type { Job } from '../support/api-client.ts'
import type { ExportedSpan } from '../support/otlp-protobuf.ts'
import { startOtlpSink } from '../support/otlp-sink.ts'
import { treeOf } from '../support/span-tree.ts'
import { startSystem } from '../support/system.ts'
import { until } from '../support/until.ts'

const sink = await startOtlpSink()
after(() => sink.close())
const system = await startSystem({
  stages: [{ name: 'act' }, { name: 'other', file: 'act' }],
  env: { WEIR_OTLP_URL: sink.url },
})
after(() => system.stop())
const { client, id: tenant } = await system.tenant('traces')
const { topics } = system

const other = { stage: 'other@1' }
await client.publish('traced', {
  steps: {
    split: act('range', { config: { n: 3 } }),
    copy: act('who', other),
    each: act('double', { ...other, after: [{ step: 'split', each: true }] }),
    all: act('sum', { after: [{ step: 'each', gather: true }] }),
    both: act('join', { after: ['all', 'copy'] }),
    last: act('flaky', { after: ['both'], retry: { attempts: 2, baseMs: 50 } }),
  },
})

const caller = { traceId: '0af7651916cd43dd8448eb211c80319c', spanId: 'b7ad6b7169203331' }
const correlation = 'order-4711:eu'
const submitted = await client.send<Job>('POST', '/v1/pipelines/traced/jobs', {
  body: { input: 1 },
  headers: {
    traceparent: `00-${caller.traceId}-${caller.spanId}-01`,
    'x-correlation-id': correlation,
  },
})
const job = await client.ended(submitted.body.id)

/** Spans of a trace once there are so many: each process exports its own, the ledger's not last. */
const traceOf = (traceId: string | null, count: number) =>
  until(`${count} spans of the trace`, () => {
    const spans = sink.trace(traceId ?? '')
    return spans.length >= count ? spans : false
  })
/** The request; first messages, elements, what each gives on, other edges; tasks, a retry, the ledger. */
const SPANS = 1 + (2 + 3 + 3 + 3) + (8 + 1 + 1)
const spans = await traceOf(job.traceId, SPANS)

const sentTo = (span: ExportedSpan) => span.attributes['messaging.destination.name']

test('a valid trace and correlation id are kept from the door to the job', () => {
  assert.equal(submitted.status, 202)
  assert.equal(submitted.headers.get('x-trace-id'), caller.traceId)
  assert.deepEqual(
    [job.status, job.traceId, job.correlationId],
    ['completed', caller.traceId, correlation],
  )
})

test('a run is one connected tree: server, send, process, and so on to the ledger', () => {
  const tree = treeOf(spans, caller.spanId)
  assert.deepEqual([tree.root.kind, tree.root.name], ['SERVER', 'POST /v1/pipelines/:name/jobs'])
  const processes = spans.filter(({ kind }) => kind === 'CONSUMER')
  const sends = spans.filter(({ kind }) => kind === 'PRODUCER')
  assert.equal(spans.length, 1 + processes.length + sends.length)
  // Two first messages, three elements and what each gives on, and one for every other step.
  assert.equal(sends.length, 2 + 3 + 3 + 3)
  // Eight tasks, one of them with two attempts, and the ledger.
  assert.equal(processes.length, 8 + 1 + 1)
  for (const span of sends) assert.equal(span.name, `send ${sentTo(span)}`)
  for (const span of processes) {
    assert.equal(span.name, `process ${sentTo(span)}`)
    if (sentTo(span) === topics.events) continue
    const parent = tree.parentOf(span)
    assert.deepEqual([parent?.kind, parent && sentTo(parent)], ['PRODUCER', sentTo(span)])
    assert.ok(Number(span.attributes['weir.queue.wait_ms']) >= 0)
  }
  for (const span of [...processes, ...sends]) {
    assert.equal(span.attributes['messaging.system'], 'kafka')
    assert.equal(span.attributes['messaging.message.conversation_id'], correlation)
    assert.equal(span.attributes['weir.job.id'], job.id)
    assert.equal(span.attributes['weir.tenant.id'], tenant)
  }
})

test('a join is the child of the part that completed it and links to all others', () => {
  const tree = treeOf(spans, caller.spanId)
  const [all] = tree.attemptsOf('all')
  const [both] = tree.attemptsOf('both')
  const sources = (span: ExportedSpan | undefined) =>
    [
      ...(span?.links.map(({ spanId }) => tree.byId(spanId)) ?? []),
      span && tree.parentOf(span),
    ].map((send) => String(send?.attributes['weir.step']))
  assert.deepEqual(sources(all), ['each', 'each', 'each'])
  assert.deepEqual(sources(both).sort(), ['all', 'copy'])
  const linked = spans.filter(({ links }) => links.length > 0)
  assert.deepEqual(linked.map(({ attributes }) => attributes['weir.step']).sort(), ['all', 'both'])
})

test('attempts of a task are siblings, the failed one marked as an error', () => {
  const [failed, ok] = treeOf(spans, caller.spanId).attemptsOf('last')
  assert.equal(failed?.parentId, ok?.parentId)
  assert.deepEqual(
    [failed, ok].map((span) => [span?.attributes['weir.attempt'], span?.isError]),
    [
      [1, true],
      [2, false],
    ],
  )
  assert.equal(failed?.attributes['error.type'], 'flaky')
})

const ofJob = (records: readonly KafkaRecord[], id = job.id) =>
  records.filter(({ headers }) => headers[HEADERS.job] === id)
const inputTopics = ['act@1', 'other@1'].map((ref) => topics.input(ref, 'normal'))
const readInputs = async () => (await Promise.all(inputTopics.map(system.read))).flat()

test('every record of the job carries trace, correlation, cause, job and tenant', async () => {
  const inputs = ofJob(await readInputs())
  assert.ok(inputs.length >= 2 + 3 + 3 + 3)
  const ids = new Set(inputs.map(({ headers }) => headers[HEADERS.id]))
  for (const { headers } of inputs) {
    assert.ok(headers[HEADERS.trace]?.startsWith(`00-${caller.traceId}-`))
    assert.equal(headers[HEADERS.correlation], correlation)
    assert.equal(headers[HEADERS.tenant], tenant)
    const { edge, step } = JSON.parse(headers[HEADERS.meta] ?? '') as MessageMeta
    const cause = headers[HEADERS.cause] ?? ''
    const isFirst = edge >= 0 && ['split', 'copy'].includes(step)
    if (isFirst) assert.equal(cause, '')
    else assert.ok(ids.has(cause), `a ${step} message names no cause that is there`)
  }
  const events = (await system.read(topics.events)).flatMap(
    ({ value }) =>
      (JSON.parse(value?.toString() ?? '{}') as { runs?: { job: string; [key: string]: string }[] })
        .runs ?? [],
  )
  const own = events.filter((run) => run.job === job.id)
  assert.ok(own.length > 0)
  for (const run of own) {
    assert.deepEqual([run.tenant, run.correlation], [tenant, correlation])
    assert.ok(run.traceparent?.startsWith(`00-${caller.traceId}-`))
  }
})

test('causes lead from the last step back to the first, through every hop', async () => {
  await client.publish('five', {
    steps: Object.fromEntries(
      ['a', 'b', 'c', 'd', 'e'].map((name, index, all) => [
        name,
        act('echo', index === 0 ? {} : { after: [all[index - 1] as string] }),
      ]),
    ),
  })
  const { id } = await client.run('five', 'x', { correlationId: 'five-hops' })
  const records = ofJob(await readInputs(), id)
  const byId = new Map(records.map((record) => [record.headers[HEADERS.id], record]))
  const stepOf = (record: KafkaRecord) =>
    (JSON.parse(record.headers[HEADERS.meta] ?? '') as MessageMeta).step
  const steps: string[] = []
  let at = records.find((record) => stepOf(record) === 'e')
  while (at !== undefined && steps.length < 10) {
    steps.push(stepOf(at))
    assert.equal(at.headers[HEADERS.correlation], 'five-hops')
    at = byId.get(at.headers[HEADERS.cause] ?? '')
  }
  assert.deepEqual(steps, ['e', 'd', 'c', 'b', 'a'])
})

test('a dead letter keeps the context of the message it was', async () => {
  await client.publish('doomed', { steps: { only: act('fail') } })
  const { id, traceId } = await client.run('doomed', 'x', { correlationId: 'doomed-1' })
  const [letter] = await until('the dead letter', async () => {
    const own = ofJob(await system.read(topics.deadLetters), id)
    return own.length > 0 ? own : false
  })
  assert.ok(letter?.headers[HEADERS.trace]?.startsWith(`00-${traceId}-`))
  assert.equal(letter?.headers[HEADERS.correlation], 'doomed-1')
  assert.equal(letter?.headers['weir-reason'], 'broken')
  const failed = (await traceOf(traceId, 4)).find(
    ({ attributes }) => attributes['weir.step'] === 'only',
  )
  assert.ok(failed?.isError)
})

test('invalid contexts are replaced, oversized ones too, and nothing of them goes further', async () => {
  const wrong = [
    { traceparent: 'not-a-context', 'x-correlation-id': 'two words' },
    {
      traceparent: `00-${'0'.repeat(32)}-${caller.spanId}-01`,
      'x-correlation-id': 'x'.repeat(129),
    },
    {
      traceparent: `00-${caller.traceId}-${caller.spanId}`,
      'x-correlation-id': '"},{"level":"fatal',
    },
  ]
  for (const headers of wrong) {
    const { id, traceId, correlationId } = await client.run('five', 'x', { headers })
    assert.match(traceId ?? '', /^[0-9a-f]{32}$/)
    assert.notEqual(traceId, caller.traceId)
    assert.match(correlationId, /^[A-Za-z0-9._:-]{1,128}$/)
    assert.notEqual(correlationId, headers['x-correlation-id'])
    for (const record of ofJob(await readInputs(), id)) {
      assert.equal(record.headers[HEADERS.correlation], correlationId)
    }
  }
})

test('a trace that is not sampled passes through without a span', async () => {
  const traceId = 'ab'.repeat(16)
  const headers = { traceparent: `00-${traceId}-${caller.spanId}-00` }
  const unsampled = await client.run('five', 'x', { headers })
  assert.deepEqual([unsampled.status, unsampled.traceId], ['completed', traceId])
  const records = ofJob(await readInputs(), unsampled.id)
  assert.ok(records.every(({ headers }) => headers[HEADERS.trace]?.startsWith(`00-${traceId}-`)))
  // What was sent after it has come: so would have its spans.
  await traceOf((await client.run('five', 'x')).traceId, 1 + 5 + 5 + 1)
  assert.deepEqual(sink.trace(traceId), [])
})

test('fifty jobs at once: each is one whole tree, and no log line holds another’s ids', async () => {
  const ids: string[] = []
  const submit = async (n: number) => {
    const { id } = await client.submit('traced', 1, { correlationId: `interleaved-${n}` })
    ids[n] = id
  }
  await Promise.all(Array.from({ length: 50 }, (_, n) => submit(n)))
  const jobs = await client.allEnded(ids)
  for (const [n, one] of jobs.entries()) {
    const own = await traceOf(one.traceId, SPANS)
    treeOf(own)
    assert.equal(own.length, SPANS)
    for (const { attributes } of own) {
      const jobId = attributes['weir.job.id']
      if (jobId !== undefined) assert.equal(jobId, one.id)
    }
    assert.equal(one.correlationId, `interleaved-${n}`)
  }
  const byId = new Map(jobs.map((one) => [one.id, one]))
  const lines = await until('the lines of all jobs', () => {
    const own = system
      .log('other')
      .filter(({ msg, job: id }) => msg === 'asked who it is' && byId.has(String(id)))
    return own.length >= jobs.length ? own : false
  })
  assert.equal(lines.length, jobs.length)
  for (const line of lines) {
    const one = byId.get(String(line.job)) as Job
    assert.deepEqual(
      [line.tenant, line.run, line.correlation, line.trace_id, line.step, line.attempt, line.stage],
      [tenant, 1, one.correlationId, one.traceId, 'copy', 1, 'other@1'],
    )
    const span = sink.trace(one.traceId ?? '').find(({ spanId }) => spanId === line.span_id)
    assert.equal(span?.attributes['weir.step'], 'copy')
  }
  const requests = system.log('control').filter(({ job: id }) => byId.has(String(id)))
  assert.ok(requests.length >= jobs.length)
  for (const { trace_id, correlation: said, tenant: whose, request } of requests) {
    assert.ok([trace_id, said, whose, request].every((field) => typeof field === 'string'))
  }
})

test('a correlation id finds its jobs, and health checks make no traces', async () => {
  const { jobs } = await client.get<{ jobs: readonly Job[] }>(
    `/v1/jobs?correlationId=${encodeURIComponent(correlation)}`,
  )
  assert.deepEqual(
    jobs.map(({ id }) => id),
    [job.id],
  )
  assert.deepEqual(
    sink.spans.filter(({ name }) => /readyz|healthz|metrics/.test(name)),
    [],
  )
})
