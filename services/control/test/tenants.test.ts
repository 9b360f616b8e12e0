import assert from 'node:assert/strict'
import test, { after, before } from 'node:test'
import { newUuid } from '@weir/contracts'
import {
  addKey,
  addTenant,
  createInstallation,
  type Installation,
  type Instance,
  type Tenant,
} from './support.ts'

let installation: Installation
let api: Instance
let acme: Tenant

before(async () => {
  installation = await createInstallation()
  api = await installation.start()
  acme = await addTenant(installation, api)
})
after(() => installation.stop())

test('an operator adds, sees, changes and deletes tenants', async () => {
  const key = installation.operator
  const made = await addTenant(installation, api, { maxQueuedJobs: 7 })
  const read = await api.call('GET', `/v1/tenants/${made.id}`, { key })
  assert.equal(read.body.quotas.maxQueuedJobs, 7)
  assert.equal(read.body.quotas.submitRatePerSecond, 5000)
  const listed = await api.call('GET', '/v1/tenants?limit=1', { key })
  assert.equal(listed.body.tenants[0].id, made.id)
  const next = await api.call('GET', `/v1/tenants?cursor=${listed.body.nextCursor}`, { key })
  assert.ok(next.body.tenants.some(({ id }: { id: string }) => id === acme.id))
  const changed = await api.call('PATCH', `/v1/tenants/${made.id}`, {
    key,
    body: { quotas: { weight: 3 } },
  })
  assert.equal(changed.body.quotas.weight, 3)
  assert.equal(changed.body.quotas.maxQueuedJobs, 7)
  assert.equal((await api.call('DELETE', `/v1/tenants/${made.id}`, { key })).status, 204)
  assert.equal((await api.call('GET', `/v1/tenants/${made.id}`, { key })).status, 404)
  assert.equal((await api.call('DELETE', `/v1/tenants/${made.id}`, { key })).status, 404)
})

test('a name is given once, and is free again after the tenant was deleted', async () => {
  const key = installation.operator
  const body = { name: acme.name }
  const again = await api.call('POST', '/v1/tenants', { key, body })
  assert.equal(again.status, 409)
  assert.equal(again.body.code, 'conflict')
  const made = await addTenant(installation, api)
  await api.call('DELETE', `/v1/tenants/${made.id}`, { key })
  const free = await api.call('POST', '/v1/tenants', { key, body: { name: made.name } })
  assert.equal(free.status, 201)
})

test('who am I is answered from the credential, and usage with every quota', async () => {
  const { body } = await api.call('GET', '/v1/whoami', { key: acme.key })
  assert.deepEqual(body.tenant, { id: acme.id, name: acme.name })
  assert.equal(body.role, 'admin')
  const operator = await api.call('GET', '/v1/whoami', { key: installation.operator })
  assert.deepEqual([operator.body.role, operator.body.tenant], ['operator', null])
  const usage = await api.call('GET', '/v1/usage', { key: acme.key })
  assert.deepEqual(usage.body.quotas.maxQueuedJobs, { limit: 100_000, used: 0 })
})

test('a key is shown once, listed without its secret, and revoked at once on this instance', async () => {
  const key = await addKey(api, acme, { name: 'ci', role: 'submitter' })
  assert.match(key, /^weir_[0-9a-f]{20}_[A-Za-z0-9_-]{43}$/)
  assert.equal((await api.call('GET', '/v1/whoami', { key })).body.role, 'submitter')
  const listed = await api.call('GET', '/v1/keys', { key: acme.key })
  const row = listed.body.keys.find(({ name }: { name: string }) => name === 'ci')
  assert.doesNotMatch(listed.text, new RegExp(key.split('_').slice(2).join('_')))
  assert.equal((await api.call('DELETE', `/v1/keys/${row.id}`, { key: acme.key })).status, 204)
  assert.equal((await api.call('GET', '/v1/whoami', { key })).status, 401)
  const [stored] = await installation.db.admin<{ hash: Buffer }>(
    'select secret_hash as hash from weir.api_keys where id = $1',
    [row.id],
  )
  assert.equal(stored?.hash.length, 32)
})

test('an expired key is refused, and a key cannot be made to have expired', async () => {
  const expiresAt = new Date(Date.now() + 700).toISOString()
  const key = await addKey(api, acme, { name: 'short', role: 'viewer', expiresAt })
  assert.equal((await api.call('GET', '/v1/whoami', { key })).status, 200)
  const end = Date.parse(expiresAt)
  while (Date.now() <= end) await new Promise((resolve) => setTimeout(resolve, 20))
  assert.equal((await api.call('GET', '/v1/whoami', { key })).status, 401)
  const past = await api.call('POST', '/v1/keys', {
    key: acme.key,
    body: { name: 'past', role: 'viewer', expiresAt: '2001-01-01T00:00:00.000Z' },
  })
  assert.equal(past.status, 400)
})

test('no credential, a broken one, a wrong secret and an unknown key are all 401 in the same words', async () => {
  const wrong = `${acme.key.slice(0, -6)}aaaaaa`
  const unknown = acme.key.replace(/^weir_[0-9a-f]+_/, 'weir_00000000000000000000_')
  const bodies = new Set<string>()
  for (const key of [undefined, 'x', wrong, unknown]) {
    const answer = await api.call('GET', '/v1/whoami', key === undefined ? {} : { key })
    assert.equal(answer.status, 401)
    assert.equal(answer.headers.get('www-authenticate'), 'Bearer')
    bodies.add(JSON.stringify({ ...answer.body, instance: '' }))
  }
  assert.equal(bodies.size, 1)
})

test('a suspended tenant is refused on an instance that has not seen its key yet', async () => {
  const made = await addTenant(installation, api)
  const body = { suspended: true }
  await api.call('PATCH', `/v1/tenants/${made.id}`, { key: installation.operator, body })
  const answer = await api.call('GET', '/v1/usage', { key: made.key })
  assert.equal(answer.status, 403)
})

test('the tenant comes from the credential alone; no header makes another of it', async () => {
  const other = await addTenant(installation, api)
  const headers = { 'x-weir-tenant': other.id, 'x-weir-reason': 'curiosity' }
  const answer = await api.call('GET', '/v1/usage', { key: acme.key, headers })
  assert.equal(answer.status, 403)
  const same = await api.call('GET', '/v1/usage', {
    key: acme.key,
    headers: { 'x-weir-tenant': acme.id },
  })
  assert.equal(same.body.tenant.id, acme.id)
})

test('an operator acts inside a tenant only with a reason, and that is written down', async () => {
  const key = installation.operator
  const inside = { 'x-weir-tenant': acme.id }
  assert.equal((await api.call('GET', '/v1/usage', { key })).status, 403)
  assert.equal((await api.call('GET', '/v1/usage', { key, headers: inside })).status, 403)
  const headers = { ...inside, 'x-weir-reason': 'ticket 4711' }
  const answer = await api.call('GET', '/v1/usage', { key, headers })
  assert.equal(answer.body.tenant.id, acme.id)
  const nobody = { 'x-weir-tenant': newUuid(), 'x-weir-reason': 'ticket 4711' }
  assert.equal((await api.call('GET', '/v1/usage', { key, headers: nobody })).status, 404)
  const [entry] = await installation.db.admin(
    `select actor, action, object, decision, reason from weir.audit_log
    where tenant_id = $1 and request_id = $2`,
    [acme.id, answer.headers.get('x-request-id')],
  )
  assert.deepEqual(entry, {
    actor: 'operator',
    action: 'access.operator',
    object: '/v1/usage',
    decision: 'allowed',
    reason: 'ticket 4711',
  })
})
