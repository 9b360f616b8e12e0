import assert from 'node:assert/strict'
import test, { after, before } from 'node:test'
import { newUuid } from '@weir/contracts'
import {
  addKey,
  addStage,
  addTenant,
  createLedger,
  createWithPipeline,
  eventsOfRun,
  type Installation,
  type Instance,
  oneStep,
  publish,
  type Tenant,
} from './support.ts'

let installation: Installation
let api: Instance
let acme: Tenant
let ledger: ReturnType<typeof createLedger>

before(async () => {
  ;({ installation, api, acme } = await createWithPipeline('delays'))
  ledger = createLedger(installation, api)
  await addStage(installation, api, 'b@1')
})
after(() => installation.stop())

const submit = (body: unknown, headers: Record<string, string> = {}, query = '', tenant = acme) =>
  api.call('POST', `/v1/pipelines/delays/jobs${query}`, { key: tenant.key, body, headers })
const read = (id: string, query = '', key = acme.key) =>
  api.call('GET', `/v1/jobs/${id}${query}`, { key })

test('a job is accepted with all that is known of it, and reads the same afterwards', async () => {
  const body = {
    input: { rows: [1, 2] },
    priority: 200,
    deadlineMs: 60_000,
    orderingKey: 'k1',
    correlationId: 'order-7',
    tags: { team: 'ops', 'a/b': 'c=d' },
  }
  const accepted = await submit(body)
  assert.equal(accepted.status, 202, accepted.text)
  assert.equal(accepted.headers.get('location'), `/v1/jobs/${accepted.body.id}`)
  const { waitingFor: _, ...job } = (await read(accepted.body.id)).body
  const { waitingFor: __, ...said } = accepted.body
  assert.deepEqual(said, job)
  assert.deepEqual(
    [job.status, job.run, job.version, job.priority, job.orderingKey, job.correlationId],
    ['queued', 1, 1, 200, 'k1', 'order-7'],
  )
  assert.deepEqual(job.tags, body.tags)
  assert.deepEqual(job.steps.a.status, 'pending')
  assert.equal('input' in job, false)
  const full = await read(job.id, '?include=input,outputs')
  assert.deepEqual(full.body.input, body.input)
  const [row] = await installation.db.admin<{ traceparent: string; deadline: number }>(
    'select traceparent, deadline_ms as deadline from weir.jobs where id = $1',
    [job.id],
  )
  assert.equal(row?.deadline, 60_000)
  assert.equal(row?.traceparent.split('-')[1], accepted.headers.get('x-trace-id'))
})

test('a valid trace context and correlation id are kept, invalid ones replaced', async () => {
  const trace = '0af7651916cd43dd8448eb211c80319c'
  const kept = await submit(
    { input: 1 },
    { traceparent: `00-${trace}-b7ad6b7169203331-01`, 'x-correlation-id': 'mine:1' },
  )
  assert.equal(kept.body.traceId, trace)
  assert.equal(kept.headers.get('x-trace-id'), trace)
  assert.equal(kept.body.correlationId, 'mine:1')
  const replaced = await submit(
    { input: 1 },
    { traceparent: 'garbage', 'x-correlation-id': 'with space' },
  )
  assert.match(replaced.body.traceId, /^[0-9a-f]{32}$/)
  assert.match(replaced.body.correlationId, /^[A-Za-z0-9._:-]{1,128}$/)
})

test('a job is queued, running and ended just as the tables say, and so are its events', async () => {
  const { id, submittedAt } = (await submit({ input: 1 })).body
  const events = async () =>
    (await api.call('GET', `/v1/jobs/${id}/events`, { key: acme.key })).body.events
  assert.deepEqual(await events(), [
    { seq: 1, run: 1, type: 'job.queued', at: submittedAt, data: {} },
  ])
  const claimedAt = new Date()
  await ledger.claim(id, claimedAt)
  const running = (await read(id)).body
  assert.deepEqual([running.status, running.dispatchedAt], ['running', claimedAt.toISOString()])
  assert.equal(running.waitingFor, null)
  assert.deepEqual(
    (await events()).map(({ seq, type, at }: Record<string, string>) => [seq, type, at]),
    [
      [1, 'job.queued', submittedAt],
      [2, 'job.dispatched', claimedAt.toISOString()],
    ],
  )
  await ledger.end(id, eventsOfRun(submittedAt, { sum: 3 }))
  const ended = (await read(id, '?include=outputs')).body
  assert.deepEqual([ended.status, ended.result], ['completed', { sum: 3 }])
  assert.deepEqual([ended.steps.a.status, ended.steps.a.output], ['completed', { sum: 3 }])
  assert.equal((await events()).length, 4)
  const later = await api.call('GET', `/v1/jobs/${id}/events?after=3`, { key: acme.key })
  assert.deepEqual(
    later.body.events.map(({ seq }: { seq: number }) => seq),
    [4],
  )
})

test('an output outside of the log is the result all the same', async () => {
  const { id, submittedAt } = (await submit({ input: 1 })).body
  await ledger.claim(id)
  const [queued, dispatched, done, end] = eventsOfRun(submittedAt)
  const { output: _, ...data } = (done as { data: Record<string, unknown> }).data
  await installation.db.admin(
    `insert into weir.payloads (tenant_id, job_id, run, step, item, digest, body)
    values ($1, $2, 1, 'a', '', 'd', '{"large":true}')`,
    [acme.id, id],
  )
  await ledger.end(id, [queued, dispatched, { ...done, data }, end] as { seq: number }[])
  assert.deepEqual((await read(id)).body.result, { large: true })
})

test('a wait ends with the run, by the hint at once and without it within about a second', async () => {
  for (const isAnnounced of [true, false]) {
    const key = newUuid()
    const waiting = submit({ input: key }, { 'idempotency-key': key }, '?wait=20000')
    let id: string | undefined
    while (id === undefined) {
      const listed = await api.call('GET', `/v1/jobs?idempotencyKey=${key}`, { key: acme.key })
      id = listed.body.jobs[0]?.id
    }
    const job = (await read(id)).body
    await ledger.claim(id)
    const start = performance.now()
    await ledger.end(id, eventsOfRun(job.submittedAt))
    if (isAnnounced) await ledger.announce(id, 4, true)
    const answer = await waiting
    assert.deepEqual([answer.status, answer.body.status], [200, 'completed'])
    assert.ok(performance.now() - start < (isAnnounced ? 900 : 2_500))
  }
  assert.equal(api.control.waiters.size(), 0)
})

test('a wait that is over answers what there is: 202 on submit, 200 on reading', async () => {
  const answer = await submit({ input: 1 }, {}, '?wait=30')
  assert.deepEqual([answer.status, answer.body.status], [202, 'queued'])
  const got = await read(answer.body.id, '?wait=30')
  assert.deepEqual([got.status, got.body.status], [200, 'queued'])
})

test('inputs are checked against the contract, faults named by place and without their values', async () => {
  const input = {
    type: 'object',
    required: ['rows'],
    properties: { rows: { type: 'array', items: { type: 'object', required: ['id'] } } },
  }
  await publish(api, acme, 'strict', { input, steps: { a: { stage: 'a@1' } } })
  const send = (input: unknown) =>
    api.call('POST', '/v1/pipelines/strict/jobs', { key: acme.key, body: { input } })
  assert.equal((await send({ rows: [{ id: 1 }] })).status, 202)
  const wrong = await send({ rows: [{ id: 1 }, { card: '4111-1111-1111-1111' }] })
  assert.equal(wrong.status, 422)
  assert.equal(wrong.body.code, 'invalid_input')
  assert.equal(wrong.body.errors[0].path, '/input/rows/1/id')
  assert.doesNotMatch(wrong.text, /4111/)
  const batch = await api.call('POST', '/v1/pipelines/strict/jobs/batch', {
    key: acme.key,
    body: { jobs: [{ input: { rows: [] } }, { input: {} }] },
  })
  assert.equal(batch.status, 422)
  assert.equal(batch.body.errors[0].path, '/jobs/1/input/rows')
})

test('a batch is accepted whole and in order, as JSON and as lines', async () => {
  const before = await countJobs()
  const body = { jobs: [{ input: 1 }, { input: 2, tags: { n: '2' } }, { input: 3 }] }
  const path = '/v1/pipelines/delays/jobs/batch'
  const json = await api.call('POST', path, { key: acme.key, body })
  assert.deepEqual([json.status, json.body.accepted], [202, 3])
  const raw = body.jobs.map((job) => `${JSON.stringify(job)}\n`).join('')
  const lines = await api.call('POST', path, {
    key: acme.key,
    raw,
    type: 'application/x-ndjson',
  })
  assert.equal(lines.body.accepted, 3)
  const inputs = await Promise.all(
    json.body.ids.map(async (id: string) => (await read(id, '?include=input')).body.input),
  )
  assert.deepEqual(inputs, [1, 2, 3])
  assert.equal(await countJobs(), before + 6)
})

test('one invalid job refuses the whole batch', async () => {
  const before = await countJobs()
  const bad = [
    [{ input: 1 }, { inptu: 2 }],
    [{ input: 1 }, { input: 1, priority: 256 }],
    [{ input: 1 }, { input: 1, version: 99 }],
    [{ input: 1 }, 7],
    [{ input: 1 }, { input: 1, tags: { 'a b': 'x' } }],
  ]
  for (const jobs of bad) {
    const path = '/v1/pipelines/delays/jobs/batch'
    const answer = await api.call('POST', path, { key: acme.key, body: { jobs } })
    assert.equal(answer.status, 422, answer.text)
    assert.match(answer.body.errors[0].path, /^\/jobs\/1/)
  }
  for (const body of [{ jobs: [] }, {}, { jobs: [{ input: 1 }], extra: 1 }, []]) {
    const path = '/v1/pipelines/delays/jobs/batch'
    assert.equal((await api.call('POST', path, { key: acme.key, body })).status, 400)
  }
  assert.equal(await countJobs(), before)
})

test('a list is newest first, filtered, and paged without a gap or a double', async () => {
  const tenant = await addTenant(installation, api)
  await publish(api, tenant, 'delays', oneStep)
  const ids: string[] = []
  for (let n = 0; n < 7; n++) {
    const tags = { parity: n % 2 === 0 ? 'even' : 'odd' }
    const answer = await submit({ input: n, tags, correlationId: `c${n}` }, {}, '', tenant)
    ids.unshift(answer.body.id)
  }
  const list = (query: string) => api.call('GET', `/v1/jobs${query}`, { key: tenant.key })
  const idsOf = (answer: { body: { jobs: { id: string }[] } }) =>
    answer.body.jobs.map(({ id }) => id)
  const paged: string[] = []
  let cursor = ''
  do {
    const page = await list(`?limit=3${cursor}`)
    paged.push(...idsOf(page))
    cursor = page.body.nextCursor === undefined ? '' : `&cursor=${page.body.nextCursor}`
  } while (cursor !== '')
  assert.deepEqual(paged, ids)
  assert.equal(idsOf(await list('?tag.parity=even')).length, 4)
  assert.deepEqual(idsOf(await list('?correlationId=c3')), [ids[3]])
  await ledger.claim(ids[0] as string)
  assert.deepEqual(idsOf(await list('?status=running')), [ids[0]])
  assert.equal(idsOf(await list('?status=queued&status=running')).length, 7)
  assert.deepEqual(idsOf(await list('?status=completed')), [])
  assert.deepEqual(idsOf(await list('?pipeline=other')), [])
  const now = encodeURIComponent(new Date(Date.now() + 1_000).toISOString())
  assert.equal(idsOf(await list(`?to=${now}`)).length, 7)
  assert.equal(idsOf(await list(`?from=${now}`)).length, 0)
  for (const query of [
    '?limit=0',
    '?limit=501',
    '?status=done',
    '?cursor=x',
    '?page=2',
    '?from=x',
  ]) {
    assert.equal((await list(query)).status, 400, query)
  }
})

test('a viewer sees jobs without their payloads, unless the key has the scope', async () => {
  const { id, submittedAt } = (await submit({ input: 'secret-in' })).body
  await ledger.claim(id)
  await ledger.end(id, eventsOfRun(submittedAt, 'secret-out'))
  const blind = await addKey(api, acme, { name: 'v', role: 'viewer' })
  const seeing = await addKey(api, acme, { name: 'v', role: 'viewer', scopes: ['payload:read'] })
  const query = '?include=input,outputs'
  for (const path of [`/v1/jobs/${id}${query}`, `/v1/jobs/${id}/events`]) {
    const closed = await api.call('GET', path, { key: blind })
    assert.equal(closed.status, 200)
    assert.doesNotMatch(closed.text, /secret/)
    assert.match((await api.call('GET', path, { key: seeing })).text, /secret-out/)
  }
})

test('why a queued job does not move is said', async () => {
  const why = async (id: string) => (await read(id)).body.waitingFor
  const first = (await submit({ input: 1, orderingKey: 'same' })).body.id
  const second = (await submit({ input: 1, orderingKey: 'same' })).body.id
  assert.match((await why(second)).detail, /ordering key/)
  await api.call('POST', '/v1/pipelines/delays/pause', { key: acme.key })
  assert.match((await why(first)).detail, /paused/)
  await api.call('POST', '/v1/pipelines/delays/resume', { key: acme.key })
  await installation.db.admin(`update weir.stages set state = 'launched' where ref = 'a@1'`)
  const waiting = await why(first)
  assert.deepEqual([waiting.kind, waiting.stage], ['stage_not_ready', 'a@1'])
  await installation.db.admin(`update weir.stages set state = 'active' where ref = 'a@1'`)
  assert.equal((await why(first)).kind, 'limit')
})

test('the dispatcher is told of queued jobs, in few hints', async () => {
  const { topics, producer } = api.control
  const { createReader, connectKafka } = await import('@weir/kafka')
  let hinted = 0
  const kafka = connectKafka({
    brokers: (process.env.WEIR_TEST_KAFKA ?? '').split(','),
    clientId: 'test',
  })
  const reader = createReader({
    kafka,
    topics: [topics.changes],
    from: 'latest',
    onRecords: (_topic, _partition, records) => {
      for (const { value } of records) {
        const hint = JSON.parse(String(value))
        if (hint.kind === 'queued') hinted += hint.count
      }
    },
  })
  await reader.caughtUp
  await Promise.all(Array.from({ length: 20 }, () => submit({ input: 1 })))
  await producer.flush()
  const end = performance.now() + 5_000
  while (hinted < 20 && performance.now() < end) await new Promise((r) => setTimeout(r, 10))
  await reader.stop()
  assert.equal(hinted, 20)
})

async function countJobs(): Promise<number> {
  const [row] = await installation.db.admin<{ count: number }>(
    'select count(*)::integer as count from weir.jobs where tenant_id = $1',
    [acme.id],
  )
  return row?.count ?? 0
}
