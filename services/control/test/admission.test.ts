import assert from 'node:assert/strict'
import test, { after, before } from 'node:test'
import {
  addStage,
  addTenant,
  createInstallation,
  type Installation,
  type Instance,
  publish,
  type Tenant,
} from './support.ts'

let installation: Installation
let one: Instance
let other: Instance

before(async () => {
  installation = await createInstallation()
  one = await installation.start()
  other = await installation.start()
  await addStage(installation, one, 'a@1')
})
after(() => installation.stop())

async function tenantWith(quotas: Record<string, number> = {}): Promise<Tenant> {
  const tenant = await addTenant(installation, one, quotas)
  await publish(one, tenant, 'p', { steps: { a: { stage: 'a@1' } } })
  return tenant
}

const submit = (api: Instance, tenant: Tenant, input: unknown, idempotencyKey?: string) =>
  api.call('POST', '/v1/pipelines/p/jobs', {
    key: tenant.key,
    body: { input },
    ...(idempotencyKey === undefined ? {} : { headers: { 'idempotency-key': idempotencyKey } }),
  })

const countOf = async (tenant: Tenant) => {
  const [row] = await installation.db.admin<{ jobs: number; queue: number; queued: number }>(
    `select (select count(*)::integer from weir.jobs where tenant_id = $1) as jobs,
      (select count(*)::integer from weir.job_queue where tenant_id = $1) as queue,
      (select queued from weir.tenant_usage where tenant_id = $1) as queued`,
    [tenant.id],
  )
  return row
}

test('a hundred equal submits over two instances make one job, and one answer is not a replay', async () => {
  const tenant = await tenantWith()
  const answers = await Promise.all(
    Array.from({ length: 100 }, (_, n) => submit(n % 2 === 0 ? one : other, tenant, { n: 1 }, 'k')),
  )
  assert.deepEqual([...new Set(answers.map(({ status }) => status))], [202])
  assert.equal(new Set(answers.map(({ body }) => body.id)).size, 1)
  const replayed = answers.filter(({ headers }) => headers.get('idempotency-replayed') === 'true')
  assert.equal(replayed.length, 99)
  assert.deepEqual(await countOf(tenant), { jobs: 1, queue: 1, queued: 1 })
})

test('the same key with another body is refused; members in another order are the same body', async () => {
  const tenant = await tenantWith()
  const first = await submit(one, tenant, { a: 1, b: 2 }, 'k')
  const same = await submit(other, tenant, { b: 2, a: 1 }, 'k')
  assert.equal(same.body.id, first.body.id)
  const mismatch = await submit(other, tenant, { a: 1, b: 3 }, 'k')
  assert.deepEqual([mismatch.status, mismatch.body.code], [422, 'idempotency_mismatch'])
  const races = await Promise.all(
    Array.from({ length: 20 }, (_, n) => submit(n % 2 === 0 ? one : other, tenant, n % 3, 'race')),
  )
  const accepted = races.filter(({ status }) => status === 202)
  assert.equal(new Set(accepted.map(({ body }) => body.id)).size, 1)
  assert.ok(races.every(({ status }) => status === 202 || status === 422))
  assert.deepEqual((await countOf(tenant))?.jobs, 2)
})

test('the same key in two tenants names two independent jobs', async () => {
  const [a, b] = [await tenantWith(), await tenantWith()]
  const [first, second] = [await submit(one, a, 1, 'k'), await submit(one, b, 2, 'k')]
  assert.deepEqual([first.status, second.status], [202, 202])
  assert.notEqual(first.body.id, second.body.id)
  assert.equal(second.headers.get('idempotency-replayed'), null)
})

test('a repeat costs no quota, and is answered when the quota is used up', async () => {
  const tenant = await tenantWith({ maxQueuedJobs: 1 })
  const first = await submit(one, tenant, 1, 'k')
  for (let n = 0; n < 3; n++)
    assert.equal((await submit(one, tenant, 1, 'k')).body.id, first.body.id)
  assert.equal((await submit(one, tenant, 2)).status, 429)
})

test('the queue quota is exact over two instances, whoever is first', async () => {
  const tenant = await tenantWith({ maxQueuedJobs: 50 })
  const answers = await Promise.all(
    Array.from({ length: 80 }, (_, n) => submit(n % 2 === 0 ? one : other, tenant, n)),
  )
  const accepted = answers.filter(({ status }) => status === 202)
  const refused = answers.filter(({ status }) => status === 429)
  assert.deepEqual([accepted.length, refused.length], [50, 30])
  assert.deepEqual(await countOf(tenant), { jobs: 50, queue: 50, queued: 50 })
  for (const { body, headers } of refused) {
    assert.deepEqual(
      [body.code, body.cause, body.quota],
      ['quota_exceeded', 'tenant', 'maxQueuedJobs'],
    )
    assert.match(headers.get('retry-after') ?? '', /^[1-9]\d*$/)
  }
})

test('the rate is kept with its burst, and Retry-After is true', async () => {
  const tenant = await tenantWith({ submitRatePerSecond: 2, submitBurst: 3 })
  const answers = await Promise.all(Array.from({ length: 8 }, (_, n) => submit(one, tenant, n)))
  const accepted = answers.filter(({ status }) => status === 202).length
  assert.ok(accepted >= 3 && accepted <= 4, `${accepted} were accepted`)
  const refused = answers.find(({ status }) => status === 429)
  assert.equal(refused?.body.code, 'rate_limited')
  const waitS = Number(refused?.headers.get('retry-after'))
  assert.ok(waitS >= 1 && waitS <= 2)
  await new Promise((resolve) => setTimeout(resolve, waitS * 1_000))
  assert.equal((await submit(one, tenant, 'again')).status, 202)
})

test('a batch that does not fit leaves nothing behind', async () => {
  const tenant = await tenantWith({ maxQueuedJobs: 5, submitBurst: 100 })
  const batch = (jobs: number) =>
    one.call('POST', '/v1/pipelines/p/jobs/batch', {
      key: tenant.key,
      body: {
        jobs: Array.from({ length: jobs }, (_, n) => ({ input: n, idempotencyKey: `k${n}` })),
      },
    })
  const refused = await batch(6)
  assert.deepEqual([refused.status, refused.body.code], [429, 'quota_exceeded'])
  assert.deepEqual(await countOf(tenant), { jobs: 0, queue: 0, queued: 0 })
  const accepted = await batch(5)
  assert.equal(accepted.body.accepted, 5)
  const again = await batch(5)
  assert.deepEqual(again.body.ids, accepted.body.ids)
  assert.equal(again.headers.get('idempotency-replayed'), 'true')
  assert.deepEqual(await countOf(tenant), { jobs: 5, queue: 5, queued: 5 })
})

test('a batch with a key that was used for another body leaves nothing behind', async () => {
  const tenant = await tenantWith()
  const first = await submit(one, tenant, 'said before', 'k')
  const jobs = [{ input: 1 }, { input: 2, idempotencyKey: 'k' }, { input: 3, idempotencyKey: 'l' }]
  const path = '/v1/pipelines/p/jobs/batch'
  const refused = await one.call('POST', path, { key: tenant.key, body: { jobs } })
  assert.deepEqual([refused.status, refused.body.code], [422, 'idempotency_mismatch'])
  assert.equal(refused.body.errors[0].path, '/jobs/1/idempotencyKey')
  assert.deepEqual(await countOf(tenant), { jobs: 1, queue: 1, queued: 1 })
  const said = { input: 'said before', idempotencyKey: 'k' }
  const mixed = await one.call('POST', path, { key: tenant.key, body: { jobs: [jobs[0], said] } })
  assert.equal(mixed.body.ids[1], first.body.id)
  assert.deepEqual(await countOf(tenant), { jobs: 2, queue: 2, queued: 2 })
})

test('an input above the tenant’s quota is too large, and does not hold up what is behind it', async () => {
  const tenant = await tenantWith({ maxPayloadBytes: 100 })
  const answers = await Promise.all(
    Array.from({ length: 12 }, (_, n) => submit(one, tenant, 'x'.repeat(n % 3 === 0 ? 200 : 10))),
  )
  assert.deepEqual(
    answers.map(({ status }) => status),
    answers.map((_, n) => (n % 3 === 0 ? 413 : 202)),
  )
})

test('concurrent submits of one tenant share statements', async () => {
  const tenant = await tenantWith()
  await Promise.all(Array.from({ length: 100 }, (_, n) => submit(one, tenant, n)))
  const text = await one.control.metrics.render()
  const figure = (name: string) =>
    Number(new RegExp(`^${name}\\{.*\\} (\\d+)`, 'm').exec(text)?.[1])
  const groups = figure('weir_control_admission_group_jobs_count')
  const jobs = figure('weir_control_admission_group_jobs_sum')
  assert.ok(jobs / groups > 1.5, `${jobs} jobs in ${groups} statements`)
})

test('jobs of one ordering key are held in the order of their submission', async () => {
  const tenant = await tenantWith()
  const body = { jobs: Array.from({ length: 3 }, (_, n) => ({ input: n, orderingKey: 'k' })) }
  await one.call('POST', '/v1/pipelines/p/jobs/batch', { key: tenant.key, body })
  const rows = await installation.db.admin<{ held: boolean }>(
    'select held from weir.job_queue where tenant_id = $1 order by virtual_finish',
    [tenant.id],
  )
  assert.deepEqual(
    rows.map(({ held }) => held),
    [false, true, true],
  )
})
