import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { after, test } from 'node:test'
import { HEADERS, type MessageMeta } from '@weir/contracts'
import type { KafkaRecord } from '@weir/kafka'
import { act, once } from '../support/act-step.ts'
import type { Job } from '../support/api-client.ts'
import { startOtlpSink } from '../support/otlp-sink.ts'
import { compareWithPage } from '../support/span-catalogue.ts'
import { treeOf } from '../support/span-tree.ts'
import { startSystem } from '../support/system.ts'
import {
  checkDoomedTree,
  checkTracedTree,
  publishTraced,
  TRACED_SPANS,
  tracedInput,
  tracedStages,
} from '../support/traced-job.ts'
import { until } from '../support/until.ts'

const sink = await startOtlpSink()
after(() => sink.close())
const system = await startSystem({
  stages: [...tracedStages, { name: 'batch' }],
  env: { WEIR_OTLP_URL: sink.url },
})
after(() => system.stop())
const { client, id: tenant } = await system.tenant('traces')
const { topics } = system

/** Lines that the deed `chat` writes in each attempt. */
const CHAT_LINES = 6

await publishTraced(client)

const caller = { traceId: '0af7651916cd43dd8448eb211c80319c', spanId: 'b7ad6b7169203331' }
const correlation = 'order-4711:eu'
const submitted = await client.send<Job>('POST', '/v1/pipelines/traced/jobs', {
  body: { input: tracedInput },
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

test('a valid trace and correlation id are kept from the door to the job', () => {
  assert.equal(submitted.status, 202)
  assert.equal(submitted.headers.get('x-trace-id'), caller.traceId)
  assert.deepEqual(
    [job.status, job.traceId, job.correlationId],
    ['completed', caller.traceId, correlation],
  )
})

test('a run is one connected tree from the request to the ledger, with its joins and attempts', async () => {
  const spans = await traceOf(job.traceId, TRACED_SPANS)
  checkTracedTree(spans, { job, tenant, topics, caller: caller.spanId })
})

const ofJob = (records: readonly KafkaRecord[], id = job.id) =>
  records.filter(({ headers }) => headers[HEADERS.job] === id)
const inputTopics = ['act@1', 'other@1', 'route@1'].map((ref) => topics.input(ref, 'normal'))
const readInputs = async () => (await Promise.all(inputTopics.map(system.read))).flat()

test('every record of the job carries trace, correlation, cause, job and tenant', async () => {
  const inputs = ofJob(await readInputs())
  assert.ok(inputs.length >= 17)
  const ids = new Set(inputs.map(({ headers }) => headers[HEADERS.id]))
  for (const { headers } of inputs) {
    assert.ok(headers[HEADERS.trace]?.startsWith(`00-${caller.traceId}-`))
    assert.equal(headers[HEADERS.correlation], correlation)
    assert.equal(headers[HEADERS.tenant], tenant)
    const { edge, step } = JSON.parse(headers[HEADERS.meta] ?? '') as MessageMeta
    const cause = headers[HEADERS.cause] ?? ''
    const isFirst = edge >= 0 && ['split', 'copy', 'choose'].includes(step)
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
  const doomed = await client.run('doomed', 'x', { correlationId: 'doomed-1' })
  const { id, traceId } = doomed
  const [letter] = await until('the dead letter', async () => {
    const own = ofJob(await system.read(topics.deadLetters), id)
    return own.length > 0 ? own : false
  })
  assert.ok(letter?.headers[HEADERS.trace]?.startsWith(`00-${traceId}-`))
  assert.equal(letter?.headers[HEADERS.correlation], 'doomed-1')
  assert.equal(letter?.headers['weir-reason'], 'broken')
  checkDoomedTree(await traceOf(traceId, 5), { job: doomed, tenant, topics })
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

test('fifty jobs at once: each is one whole tree of its own', async () => {
  const ids: string[] = []
  const submit = async (n: number) => {
    const { id } = await client.submit('traced', tracedInput, { correlationId: `interleaved-${n}` })
    ids[n] = id
  }
  await Promise.all(Array.from({ length: 50 }, (_, n) => submit(n)))
  const jobs = await client.allEnded(ids)
  for (const [n, one] of jobs.entries()) {
    assert.equal(one.correlationId, `interleaved-${n}`)
    checkTracedTree(await traceOf(one.traceId, TRACED_SPANS), { job: one, tenant, topics })
  }
})

test('a batch is a trace a job, each linked to the request', async () => {
  const ids = await client.submitBatch('five', [1, 2, 3])
  const jobs = await client.allEnded(ids)
  assert.equal(new Set(jobs.map(({ traceId }) => traceId)).size, 3)
  for (const { id, traceId } of jobs) {
    const spans = await traceOf(traceId, 1 + 5 + 5 + 1)
    const { root } = treeOf(spans)
    assert.deepEqual([root.name, root.attributes['weir.job.id']], ['submit job', id])
    const [link, ...more] = root.links.map(({ spanId }) =>
      sink.spans.find((span) => span.spanId === spanId),
    )
    assert.deepEqual([link?.name, more], ['POST /v1/pipelines/:name/jobs/batch', []])
  }
  const headers = { traceparent: `00-${'cd'.repeat(16)}-${caller.spanId}-00` }
  const body = { jobs: [{ input: 1 }] }
  const path = '/v1/pipelines/five/jobs/batch'
  const said = await client.call<{ ids: string[] }>('POST', path, { body, headers })
  const [unsampled] = await client.allEnded(said.ids)
  assert.equal(unsampled?.traceId, 'cd'.repeat(16))
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

test('every line about a record names its job, attempt and span, however it was written', async () => {
  await client.publish('chatty', {
    steps: {
      talk: act('chat', { config: { failures: 1 }, retry: { attempts: 2, baseMs: 20 } }),
      more: act('chat', { stage: 'other@1', after: ['talk'] }),
      group: { stage: 'batch@1', after: ['more'] },
    },
  })
  const submits = Array.from({ length: 50 }, async (_, n) => {
    // Every tenth is not recorded: its lines name the ids that its messages carry.
    const headers = { traceparent: `00-${randomBytes(16).toString('hex')}-${caller.spanId}-00` }
    const options = { correlationId: `chatty-${n}`, ...(n % 10 === 0 && { headers }) }
    return (await client.submit('chatty', n, options)).id
  })
  const jobs = new Map(
    (await client.allEnded(await Promise.all(submits))).map((one) => [one.id, one]),
  )
  const expected = jobs.size * (2 * CHAT_LINES + CHAT_LINES + 1)
  const lines = await until('the lines of all attempts', () => {
    const own = ['act', 'other', 'batch'].flatMap((stage) =>
      system.log(stage).filter(({ msg }) => String(msg).startsWith('chat: ')),
    )
    return own.length >= expected && own
  })
  assert.equal(lines.length, expected)
  const stageOf = { talk: 'act@1', more: 'other@1', group: 'batch@1' }
  for (const line of lines) {
    const one = jobs.get(String(line.job))
    assert.ok(one, JSON.stringify(line))
    const step = line.step as keyof typeof stageOf
    assert.deepEqual(
      [line.tenant, line.run, line.correlation, line.trace_id, line.stage, line.item],
      [tenant, 1, one.correlationId, one.traceId, stageOf[step], ''],
    )
    // The handler says which attempt it is: no other's context has come between.
    assert.equal(line.msg, `chat: ${one.id} ${step} ${line.attempt}`)
    if (line.trace_flags === '00') {
      assert.match(String(line.span_id), /^[0-9a-f]{16}$/)
      continue
    }
    const span = await until('the span of the line', () =>
      sink.trace(one.traceId ?? '').find(({ spanId }) => spanId === line.span_id),
    )
    assert.deepEqual(
      [span.kind, span.attributes['weir.step'], span.attributes['weir.attempt']],
      ['CONSUMER', step, line.attempt],
    )
  }
  const ended = await until('the lines of the ledger', () => {
    const own = system.log('ledger').filter(({ job: id }) => jobs.has(String(id)))
    return own.length >= jobs.size && own
  })
  const requests = system.log('control').filter(({ job: id }) => jobs.has(String(id)))
  assert.ok(requests.length >= jobs.size)
  const whole = ['tenant', 'job', 'correlation', 'trace_id', 'span_id']
  for (const line of [...ended, ...requests]) {
    for (const field of whole) assert.equal(typeof line[field], 'string', JSON.stringify(line))
  }
})

test('what the engine says of a handler names the job too', async () => {
  await client.publish('troubled', {
    steps: {
      untidy: act('careful', { config: { ms: 1 } }),
      deaf: act('stubborn', { ...once, config: { ms: 3_000 }, timeoutMs: 100 }),
    },
    onFailure: 'continue',
  })
  const { id, traceId } = await client.run('troubled', 1)
  for (const msg of ['cleanup failed', 'a handler did not return after its signal was aborted']) {
    const line = await until(`the line "${msg}"`, () =>
      system.log('act').find((one) => one.msg === msg && one.job === id),
    )
    assert.deepEqual(
      [line.tenant, line.run, line.trace_id, line.stage, line.attempt],
      [tenant, 1, traceId, 'act@1', 1],
    )
    await until('the span of the line', () =>
      sink.trace(traceId ?? '').find(({ spanId }) => spanId === line.span_id),
    )
  }
})

test('waits and works along the critical path add up to the run', async () => {
  const slow = (ms: number, after: string[] = []) => act('slow', { after, config: { ms } })
  await client.publish('slow', {
    steps: {
      first: slow(1_500),
      short: slow(200, ['first']),
      long: slow(1_800, ['first']),
      last: slow(1_200, ['short', 'long']),
    },
  })
  type Timed = Job & { steps: Record<string, { waitMs: number; workMs: number }> }
  const ms = (time: string | null) => Date.parse(time ?? '')
  // A machine that is busy with something else adds what no step has waited for.
  const done = await until(
    'a run of which 95 % are its steps',
    async () => {
      const job = (await client.run('slow', 1)) as Timed
      const path = ['first', 'long', 'last'].map((name) => job.steps[name])
      const sum = path.reduce((all, step) => all + (step?.waitMs ?? 0) + (step?.workMs ?? 0), 0)
      const took = ms(job.finishedAt) - ms(job.dispatchedAt)
      return Math.abs(sum / took - 1) <= 0.05 && job
    },
    90_000,
  )
  // The same of each attempt, in the events: one record a task, whole in itself.
  const tasks = (await client.events(done.id)).filter(({ type }) => type === 'task.completed')
  assert.deepEqual(
    tasks.map(({ step, stage, attempt }) => [step, stage, attempt]).sort(),
    Object.keys(done.steps)
      .map((step) => [step, 'act@1', 1])
      .sort(),
  )
  for (const { step, data } of tasks) {
    const { waitMs, workMs } = done.steps[step ?? ''] ?? {}
    assert.deepEqual([data.waitMs, data.workMs], [waitMs, workMs])
  }
  // And the same where many jobs are asked for at once: in the rows.
  const [row] = await wideRuns(done.id)
  const path = (await wideTasks(done.id)).filter(({ step }) => step !== 'short')
  assert.equal(path.length, 3)
  const sum = path.reduce((all, task) => all + task.wait_ms + task.work_ms, 0)
  assert.ok(Math.abs(sum / (row?.duration_ms ?? 0) - 1) <= 0.05, `${sum} of ${row?.duration_ms} ms`)
})

type WideRow = Readonly<Record<string, string | number | Date | null>>
type WideTask = WideRow & { readonly wait_ms: number; readonly work_ms: number }
type WideRun = WideRow & { readonly duration_ms: number }

const wideTasks = (id: string, of = tenant) =>
  system.query<WideTask>(of, 'select * from wide_tasks where job_id = $1 order by seq', [id])
const wideRuns = (id: string, of = tenant) =>
  system.query<WideRun>(of, 'select * from wide_runs where job_id = $1', [id])

test('the rows of what ran tell what the events of the jobs do, to their own tenant alone', async () => {
  await client.publish('uneven', {
    steps: {
      split: act('range', { config: { n: 3 } }),
      each: act('flaky', {
        after: [{ step: 'split', each: true }],
        retry: { attempts: 2, baseMs: 20 },
      }),
      broken: act('fail', { after: ['split'], ...once }),
      after: act('echo', { after: ['broken'] }),
    },
    onFailure: 'continue',
  })
  const uneven = await client.run('uneven', 'x')
  assert.equal(uneven.status, 'completed_with_failures')
  const other = await system.tenant('nosy')
  const outcomes = new Set<string>()
  for (const { id, correlationId, traceId, status, ...own } of [job, uneven]) {
    const events = await client.events(id)
    const ends = events.filter(({ type }) =>
      /^task\.(completed|skipped|failed|cancelled|dropped|retry_scheduled)$/.test(type),
    )
    const tasks = await wideTasks(id)
    const same = { tenant_id: tenant, job_id: id, run: 1, pipeline: own.pipeline, version: 1 }
    const ids = { correlation_id: correlationId, trace_id: traceId }
    assert.deepEqual(
      tasks.map(({ at, ...row }) => ({ ...row, at: (at as Date).toISOString() })),
      ends.map(({ seq, type, at, step, stage, item = '', attempt, data }) => ({
        ...{ ...same, ...ids, seq, step, stage, item, attempt, at },
        outcome: type === 'task.retry_scheduled' ? 'retried' : type.slice('task.'.length),
        wait_ms: data.waitMs ?? 0,
        work_ms: data.workMs ?? 0,
        error_code: (data.error as { code?: string } | undefined)?.code ?? null,
      })),
    )
    for (const { outcome } of tasks) outcomes.add(String(outcome))
    const [run, ...more] = await wideRuns(id)
    assert.deepEqual(more, [])
    const time = (value: unknown) => (value as Date).toISOString()
    assert.deepEqual(
      [run?.status, run?.queued_at, run?.dispatched_at, run?.finished_at].map((value) =>
        value instanceof Date ? time(value) : value,
      ),
      [status, own.submittedAt, own.dispatchedAt, own.finishedAt],
    )
    const counted = ['completed', 'skipped', 'failed', 'retried'].map((outcome) => [
      run?.[outcome],
      tasks.filter((task) => task.outcome === outcome).length,
    ])
    for (const [said, real] of counted) assert.equal(said, real)
    assert.equal(run?.error_code, own.error?.code ?? null)
    assert.deepEqual([await wideTasks(id, other.id), await wideRuns(id, other.id)], [[], []])
  }
  assert.deepEqual([...outcomes].sort(), ['completed', 'failed', 'retried', 'skipped'])
})

test('the page on traces says what spans there are, and nothing else', async () => {
  await client.publish('wide', {
    steps: {
      split: act('range', { config: { n: 104 } }),
      each: act('echo', { after: [{ step: 'split', each: true }] }),
    },
  })
  const { traceId } = await client.run('wide', 1)
  // The first hundred messages have a span each, the other four one.
  const spans = await traceOf(traceId, 1 + 1 + 1 + 101 + 104 + 1)
  const shared = spans.filter((span) => span.attributes['messaging.batch.message_count'] === 4)
  assert.equal(shared.length, 1)
  treeOf(spans)
  await client.publish('nowhere', {
    steps: {
      choose: { stage: 'route@1' },
      a: act('echo', { after: [{ step: 'choose', when: 'a' }] }),
      b: act('echo', { after: ['a'] }),
      c: act('echo', { after: ['b'] }),
    },
  })
  // Which report is the last to be read is the ledger's luck: mostly that of the last step.
  await until('a run that ends with a step that is not run', async () => {
    const nowhere = await client.run('nowhere', { to: [] })
    const tree = treeOf(await traceOf(nowhere.traceId, 7))
    assert.deepEqual(tree.attemptsOf('c'), [])
    const [end] = sink.trace(nowhere.traceId ?? '').filter(({ service }) => service === 'ledger')
    return end && tree.parentOf(end)?.kind === 'PRODUCER'
  })
  assert.deepEqual(compareWithPage(sink.spans), { undocumented: [], unseen: [] })
})
