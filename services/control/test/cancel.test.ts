import assert from 'node:assert/strict'
import test, { after, before } from 'node:test'
import { newUuid } from '@weir/contracts'
import { connectKafka, createReader } from '@weir/kafka'
import {
  addKey,
  addTenant,
  createLedger,
  createWithPipeline,
  eventsOfRun,
  type Installation,
  type Instance,
  oneStep,
  publish,
  type Tenant,
  until,
} from './support.ts'

let installation: Installation
let api: Instance
let ledger: ReturnType<typeof createLedger>

before(async () => {
  ;({ installation, api } = await createWithPipeline('p'))
  ledger = createLedger(installation, api)
})
after(() => installation.stop())

/** A tenant with the pipelines `p` and `q`, and no job. */
async function newTenant(): Promise<Tenant> {
  const tenant = await addTenant(installation, api)
  await publish(api, tenant, 'p', oneStep)
  await publish(api, tenant, 'q', oneStep)
  return tenant
}

async function submit(tenant: Tenant, body: object = {}, pipeline = 'p'): Promise<string> {
  const path = `/v1/pipelines/${pipeline}/jobs`
  const answer = await api.call('POST', path, { key: tenant.key, body: { input: 1, ...body } })
  assert.equal(answer.status, 202, answer.text)
  return answer.body.id
}

const cancel = (tenant: Tenant, id: string, body: unknown = {}, key = tenant.key) =>
  api.call('POST', `/v1/jobs/${id}/cancel`, { key, body })
const cancelAll = (tenant: Tenant, body: unknown) =>
  api.call('POST', '/v1/jobs/cancel', { key: tenant.key, body })
const read = async (tenant: Tenant, path: string) =>
  (await api.call('GET', path, { key: tenant.key })).body
const counts = (tenant: Tenant, query = '') => read(tenant, `/v1/jobs/counts${query}`)

type Audit = {
  actor: string
  action: string
  object: string
  reason: string | null
  detail: string
}
const auditOf = (tenant: Tenant) =>
  installation.db.admin<Audit>(
    `select actor, action, object, reason, detail from weir.audit_log
    where tenant_id = $1 and action in ('job.cancel', 'jobs.cancel') order by id`,
    [tenant.id],
  )

test('a queued job ends at once, with its whole log, and gives its place back', async () => {
  const acme = await newTenant()
  const id = await submit(acme)
  assert.equal((await read(acme, '/v1/usage')).queuedJobs?.used ?? 1, 1)
  const answer = await cancel(acme, id, { reason: 'wrong day' })
  assert.equal(answer.status, 202, answer.text)
  assert.deepEqual([answer.body.id, answer.body.status], [id, 'cancelled'])
  const { actor, reason } = answer.body.cancel
  assert.deepEqual([reason, /^key:[0-9a-f-]{36}$/.test(actor)], ['wrong day', true])
  assert.equal(answer.body.steps.a.status, 'cancelled')
  assert.notEqual(answer.body.finishedAt, null)

  const { events } = await read(acme, `/v1/jobs/${id}/events`)
  const data = { reason: 'wrong day', actor }
  assert.deepEqual(
    events.map((event: { seq: number; type: string; data: object }) => [
      event.seq,
      event.type,
      event.data,
    ]),
    [
      [1, 'job.queued', {}],
      [2, 'job.cancel_requested', data],
      [3, 'job.cancelled', data],
    ],
  )
  const [usage] = await installation.db.admin<{ queued: number }>(
    'select queued from weir.tenant_usage where tenant_id = $1',
    [acme.id],
  )
  assert.equal(usage?.queued, 0)
  assert.deepEqual(await auditOf(acme), [
    { actor, action: 'job.cancel', object: `job:${id}`, reason: 'wrong day', detail: null },
  ])
})

test('cancelling again gives the same answer and is not written down again', async () => {
  const acme = await newTenant()
  const [queued, running] = [await submit(acme), await submit(acme)]
  await ledger.claim(running)
  for (const id of [queued, running]) {
    const first = await cancel(acme, id, { reason: 'first' })
    const again = await cancel(acme, id, { reason: 'second' })
    assert.deepEqual([again.status, again.body], [first.status, first.body])
  }
  const both = await Promise.all(Array.from({ length: 10 }, () => cancel(acme, running)))
  assert.deepEqual([...new Set(both.map(({ status }) => status))], [202])
  assert.equal((await auditOf(acme)).length, 2)
  const [row] = await installation.db.admin<{ reason: string }>(
    'select cancel_reason as reason from weir.in_flight where job_id = $1',
    [running],
  )
  assert.equal(row?.reason, 'first')
})

test('a job that has ended otherwise is not cancelled', async () => {
  const acme = await newTenant()
  for (const status of ['completed', 'completed_with_failures', 'failed', 'dropped']) {
    const id = await submit(acme)
    const { submittedAt } = await read(acme, `/v1/jobs/${id}`)
    await ledger.claim(id)
    await ledger.end(id, eventsOfRun(submittedAt), status)
    const answer = await cancel(acme, id)
    assert.deepEqual([answer.status, answer.body.code], [409, 'job_already_finished'], status)
  }
  assert.deepEqual(await auditOf(acme), [])
})

test('of a run in flight the request stands in the database, and the ledger is told of it', async () => {
  const acme = await newTenant()
  const id = await submit(acme)
  await ledger.claim(id)
  let hinted = 0
  const brokers = (process.env.WEIR_TEST_KAFKA ?? '').split(',')
  const reader = createReader({
    kafka: connectKafka({ brokers, clientId: 'test' }),
    topics: [api.control.topics.changes],
    from: 'latest',
    onRecords: (_topic, _partition, records) => {
      for (const { value } of records) {
        const hint = JSON.parse(String(value))
        if (hint.kind === 'cancelling') hinted += hint.count
      }
    },
  })
  await reader.caughtUp
  const answer = await cancel(acme, id, { reason: 'no need' })
  assert.deepEqual([answer.status, answer.body.status], [202, 'cancelling'])
  const [row] = await installation.db.admin<{ reason: string; actor: string; isSet: boolean }>(
    `select cancel_reason as reason, cancel_actor as actor, cancel_requested_at is not null as "isSet"
    from weir.in_flight where job_id = $1 and cancelling`,
    [id],
  )
  assert.equal(row?.reason, 'no need')
  assert.match(row?.actor ?? '', /^key:/)
  assert.ok(row?.isSet)
  await until(async () => hinted === 1, 'the hint')
  await reader.stop()
})

test('who waits for a job, and who follows its events, hears of its end in the queue', async () => {
  const acme = await newTenant()
  const id = await submit(acme)
  const waiting = api.call('GET', `/v1/jobs/${id}?wait=20000`, { key: acme.key })
  const following = fetch(`${api.url}/v1/jobs/${id}/events`, {
    headers: { authorization: `Bearer ${acme.key}`, accept: 'text/event-stream' },
    signal: AbortSignal.timeout(10_000),
  }).then((response) => response.text())
  await until(async () => api.control.waiters.size() === 2, 'both to wait')
  await cancel(acme, id)
  const [waited, followed] = await Promise.all([waiting, following])
  assert.equal(waited.body.status, 'cancelled')
  // The stream has ended by itself.
  assert.deepEqual(
    [...followed.matchAll(/^event: (\S+)$/gm)].map(([, type]) => type),
    ['job.queued', 'job.cancel_requested', 'job.cancelled'],
  )
})

test('a job that waits behind a cancelled one of its ordering key goes on', async () => {
  const acme = await newTenant()
  const ordered = { orderingKey: 'k' }
  const first = await submit(acme, ordered)
  const second = await submit(acme, ordered)
  const third = await submit(acme, ordered)
  const held = async (id: string) =>
    (
      await installation.db.admin<{ held: boolean }>(
        'select held from weir.job_queue where job_id = $1',
        [id],
      )
    )[0]?.held
  await cancel(acme, second)
  assert.equal(await held(third), true)
  await cancel(acme, first)
  assert.equal(await held(third), false)
})

test('the body may be left out, and what it may not hold is refused', async () => {
  const acme = await newTenant()
  const id = await submit(acme)
  for (const body of [
    { reason: 7 },
    { reason: '' },
    { reason: 'x'.repeat(501) },
    { because: 'x' },
  ]) {
    assert.equal((await cancel(acme, id, body)).status, 400, JSON.stringify(body))
  }
  for (const missing of [newUuid(), 'nothing-here']) {
    assert.equal((await cancel(acme, missing)).status, 404, missing)
  }
  const bare = await api.call('POST', `/v1/jobs/${id}/cancel`, { key: acme.key })
  assert.deepEqual([bare.status, bare.body.status], [202, 'cancelled'])
  assert.equal(bare.body.cancel.reason, null)
})

test('an operator who cancels a tenant’s job is named as one', async () => {
  const acme = await newTenant()
  const id = await submit(acme)
  const answer = await api.call('POST', `/v1/jobs/${id}/cancel`, {
    key: installation.operator,
    headers: { 'x-weir-tenant': acme.id, 'x-weir-reason': 'incident 7' },
    body: {},
  })
  assert.equal(answer.status, 202, answer.text)
  assert.equal(answer.body.cancel.actor, 'operator')
  const [entry] = await auditOf(acme)
  assert.deepEqual([entry?.actor, entry?.reason], ['operator', 'incident 7'])
})

test('a hundred cancels at once share few transactions, and each has its answer', async () => {
  const acme = await newTenant()
  const path = '/v1/pipelines/p/jobs/batch'
  const jobs = Array.from({ length: 100 }, () => ({ input: 1 }))
  const { ids } = (await api.call('POST', path, { key: acme.key, body: { jobs } })).body
  const answers = await Promise.all(ids.map((id: string) => cancel(acme, id)))
  assert.deepEqual(
    answers.map(({ status, body }) => [status, body.id, body.status]),
    ids.map((id: string) => [202, id, 'cancelled']),
  )
  assert.equal((await auditOf(acme)).length, 100)
  // All of what one transaction writes has its number.
  const [row] = await installation.db.admin<{ transactions: number }>(
    `select count(distinct xmin::text)::integer as transactions from weir.audit_log
    where tenant_id = $1 and action = 'job.cancel'`,
    [acme.id],
  )
  assert.ok((row?.transactions ?? 100) < 50, `${row?.transactions} transactions`)
})

test('all jobs of a filter are cancelled, and no other; a dry run says how many', async () => {
  const acme = await newTenant()
  const ours = [await submit(acme), await submit(acme), await submit(acme)]
  const other = await submit(acme, {}, 'q')
  const tagged = await submit(acme, { tags: { day: 'sunday' }, correlationId: 'c-1' }, 'q')
  const done = await submit(acme)
  const { submittedAt } = await read(acme, `/v1/jobs/${done}`)
  await ledger.claim(done)
  await ledger.end(done, eventsOfRun(submittedAt))
  await ledger.claim(ours[0] as string)

  const filter = { pipeline: 'p' }
  const dry = await cancelAll(acme, { filter, dryRun: true })
  assert.deepEqual([dry.status, dry.body], [200, { total: 3, byStatus: { queued: 2, running: 1 } }])
  assert.deepEqual(await auditOf(acme), [])
  assert.deepEqual(await counts(acme), {
    total: 6,
    byStatus: { queued: 4, running: 1, completed: 1 },
  })

  const real = await cancelAll(acme, { filter, reason: 'no need' })
  assert.deepEqual([real.status, real.body], [202, { cancelled: 2, cancelling: 1, more: false }])
  const statuses = await Promise.all(
    [...ours, other, tagged, done].map(async (id) => (await read(acme, `/v1/jobs/${id}`)).status),
  )
  assert.deepEqual(statuses, [
    ...['cancelling', 'cancelled', 'cancelled'],
    ...['queued', 'queued', 'completed'],
  ])
  assert.equal((await read(acme, `/v1/jobs/${ours[1]}`)).cancel.reason, 'no need')
  const [entry] = await auditOf(acme)
  assert.deepEqual(
    [entry?.action, entry?.object, entry?.reason],
    ['jobs.cancel', 'jobs', 'no need'],
  )
  assert.deepEqual(JSON.parse(entry?.detail ?? ''), { filter, cancelled: 2, cancelling: 1 })

  const again = await cancelAll(acme, { filter, reason: 'no need' })
  assert.deepEqual(again.body, { cancelled: 0, cancelling: 0, more: false })
  const byTag = await cancelAll(acme, { filter: { tags: { day: 'sunday' }, status: 'queued' } })
  assert.equal(byTag.body.cancelled, 1)
  assert.equal((await counts(acme, '?tag.day=sunday')).byStatus.cancelled, 1)
  assert.equal((await cancelAll(acme, { filter: { status: ['completed'] } })).body.cancelled, 0)
  assert.equal((await read(acme, `/v1/jobs/${other}`)).status, 'queued')
  const all = await cancelAll(acme, { all: true })
  assert.equal(all.body.cancelled, 1)
})

test('a filter that names no job in particular is refused, unless all of them are meant', async () => {
  const acme = await newTenant()
  const id = await submit(acme)
  const refused = [
    {},
    { filter: {} },
    { filter: {}, dryRun: true },
    { filter: { tags: {} } },
    { filter: { pipeline: 'p' }, all: true },
    { filter: { status: [] } },
    { filter: { status: 'done' } },
    { filter: { pipelines: 'p' } },
    { filter: { from: 'yesterday' } },
    { all: false },
  ]
  for (const body of refused) {
    const answer = await cancelAll(acme, body)
    assert.equal(answer.status, 400, JSON.stringify(body))
  }
  assert.equal((await read(acme, `/v1/jobs/${id}`)).status, 'queued')
})

test('many jobs are cancelled chunk by chunk, each with its entry in the audit log', async () => {
  const acme = await newTenant()
  const jobs = Array.from({ length: 1_200 }, () => ({ input: 1 }))
  const path = '/v1/pipelines/p/jobs/batch'
  await api.call('POST', path, { key: acme.key, body: { jobs } })
  const answer = await cancelAll(acme, { filter: { pipeline: 'p' } })
  assert.deepEqual(answer.body, { cancelled: 1_200, cancelling: 0, more: false })
  assert.deepEqual(await counts(acme), { total: 1_200, byStatus: { cancelled: 1_200 } })
  assert.deepEqual(
    (await auditOf(acme)).map(({ detail }) => JSON.parse(detail).cancelled),
    Array(6).fill(200),
  )
  const [usage] = await installation.db.admin<{ queued: number }>(
    'select queued from weir.tenant_usage where tenant_id = $1',
    [acme.id],
  )
  assert.equal(usage?.queued, 0)
})

test('who may submit may cancel, and who may only look may not', async () => {
  const acme = await newTenant()
  const viewer = await addKey(api, acme, { name: 'v', role: 'viewer' })
  const submitter = await addKey(api, acme, { name: 's', role: 'submitter' })
  const id = await submit(acme)
  assert.equal((await cancel(acme, id, {}, viewer)).status, 403)
  assert.equal((await read(acme, `/v1/jobs/${id}`)).status, 'queued')
  assert.equal((await cancel(acme, id, {}, submitter)).status, 202)
})
