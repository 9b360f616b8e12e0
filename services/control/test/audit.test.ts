import assert from 'node:assert/strict'
import test, { after, before } from 'node:test'
import { newUuid } from '@weir/contracts'
import {
  addKey,
  addTenant,
  createWithPipeline,
  type Installation,
  type Instance,
  oneStep,
  publish,
  type Tenant,
} from './support.ts'

let installation: Installation
let api: Instance
let acme: Tenant

before(async () => {
  ;({ installation, api, acme } = await createWithPipeline('ours'))
})
after(() => installation.stop())

type Entry = {
  readonly id: string
  readonly at: string
  readonly actor: string
  readonly action: string
  readonly object: string
  readonly decision: string
  readonly requestId: string
  readonly reason: string | null
  readonly detail: Readonly<Record<string, unknown>> | null
}

async function read(key: string, query = '', headers = {}): Promise<readonly Entry[]> {
  const answer = await api.call('GET', `/v1/audit${query}`, { key, headers })
  assert.equal(answer.status, 200, answer.text)
  return answer.body.entries
}

/** What stands in a log after what was only counted has been told. */
async function flushed(key: string, query = ''): Promise<readonly Entry[]> {
  await api.control.audit.flush()
  return read(key, query)
}

const causesOf = (entries: readonly Entry[]) => entries.map(({ detail }) => detail?.cause)
const countOf = (entries: readonly Entry[]) =>
  entries.reduce((sum, { detail }) => sum + Number(detail?.count), 0)

test('what was done is there, newest first, with who, what, when and by which request', async () => {
  const made = await api.call('POST', '/v1/keys', {
    key: acme.key,
    body: { name: 'ci', role: 'submitter' },
  })
  await api.call('DELETE', `/v1/keys/${made.body.id}`, { key: acme.key })
  const [revoked, created] = await read(acme.key)
  assert.equal(revoked?.action, 'key.revoke')
  assert.deepEqual(
    { ...created, id: '', at: '' },
    {
      id: '',
      at: '',
      actor: revoked?.actor,
      action: 'key.create',
      object: `key:${made.body.id}`,
      decision: 'allowed',
      requestId: made.headers.get('x-request-id'),
      reason: null,
      detail: { name: 'ci', role: 'submitter', scopes: [] },
    },
  )
  assert.ok(Math.abs(Date.parse(created?.at ?? '') - Date.now()) < 60_000)
})

test('a list is filtered by action, actor, decision and time, and goes on where it ended', async () => {
  const tenant = await addTenant(installation, api)
  for (const name of ['a', 'b', 'c', 'd', 'e']) {
    await addKey(api, tenant, { name, role: 'viewer' })
  }
  const all = await read(tenant.key)
  assert.equal(all.length, 6)
  const made = await read(tenant.key, '?action=key.create')
  assert.deepEqual(
    made.map(({ detail }) => detail?.name),
    ['e', 'd', 'c', 'b', 'a'],
  )
  assert.equal((await read(tenant.key, '?actor=operator')).length, 1)
  assert.deepEqual(await read(tenant.key, '?decision=denied'), [])
  const { at = '' } = all[2] ?? {}
  const later = await read(tenant.key, `?from=${at}`)
  const before = await read(tenant.key, `?to=${at}`)
  assert.deepEqual([...later, ...before], all)
  assert.ok(later.length > 0 && before.length > 0)

  const paged: Entry[] = []
  let query = '?limit=2'
  for (let page = 0; page < 10 && query !== ''; page += 1) {
    const { body } = await api.call('GET', `/v1/audit${query}`, { key: tenant.key })
    paged.push(...body.entries)
    query = body.nextCursor === undefined ? '' : `?limit=2&cursor=${body.nextCursor}`
  }
  assert.deepEqual(paged, all)
  for (const query of ['?action=nothing', '?limit=501', '?decision=maybe', '?cursor=x', '?x=1']) {
    assert.equal((await api.call('GET', `/v1/audit${query}`, { key: tenant.key })).status, 400)
  }
})

test('an operator reads the installation’s log, and a tenant’s only with a reason', async () => {
  const { operator } = installation
  const made = await addTenant(installation, api)
  const deleted = await api.call('DELETE', `/v1/tenants/${made.id}`, { key: operator })
  assert.equal(deleted.status, 204)
  const actions = (await flushed(operator, '?limit=500'))
    .filter(({ object }) => object === `tenant:${made.id}`)
    .map(({ action }) => action)
  assert.deepEqual(actions, ['tenant.delete', 'tenant.create'])
  const inside = { 'x-weir-tenant': acme.id, 'x-weir-reason': 'an audit' }
  const [own] = await read(operator, '', inside)
  assert.deepEqual(
    [own?.action, own?.reason, own?.detail?.request],
    ['access.operator', 'an audit', 'GET /v1/audit'],
  )
  const [stage] = await read(operator, '?action=stage.register')
  assert.equal(stage?.object, 'stage:a@1')
})

test('every denial stands in the log of whom it concerns, with its cause', async () => {
  const { operator } = installation
  const tenant = await addTenant(installation, api)
  const rival = await addTenant(installation, api)
  const viewer = await addKey(api, tenant, { name: 'v', role: 'viewer' })
  const revoked = await addKey(api, tenant, { name: 'r', role: 'viewer' })
  const keys = await api.call('GET', '/v1/keys', { key: tenant.key })
  const idOf = (name: string) =>
    keys.body.keys.find((one: { name: string }) => one.name === name).id as string
  await api.call('DELETE', `/v1/keys/${idOf('r')}`, { key: tenant.key })
  const expired = await addKey(api, tenant, { name: 'e', role: 'viewer' })
  await installation.db.admin(
    `update weir.api_keys set expires_at = '2001-01-01' where tenant_id = $1 and name = 'e'`,
    [tenant.id],
  )
  const wrong = `${viewer.slice(0, -6)}aaaaaa`
  const unknown = viewer.replace(/^weir_[0-9a-f]+_/, 'weir_00000000000000000000_')
  const ask = async (status: number, key: string | undefined, path: string, headers = {}) => {
    const answer = await api.call('GET', path, key === undefined ? { headers } : { key, headers })
    assert.equal(answer.status, status, `${path} ${answer.text}`)
  }
  const foreign = { 'x-weir-tenant': rival.id }
  await ask(403, viewer, '/v1/keys')
  await ask(401, revoked, '/v1/jobs')
  await ask(401, expired, '/v1/jobs')
  await ask(401, wrong, '/v1/jobs')
  await ask(403, viewer, '/v1/jobs', foreign)
  await ask(404, viewer, `/v1/jobs/${newUuid()}`)
  await ask(404, viewer, '/v1/jobs/no-id')
  await ask(200, viewer, '/v1/jobs')
  const inTenant = await flushed(tenant.key, '?decision=denied')
  const expected = ['not_found', 'other_tenant', 'wrong_secret', 'expired', 'revoked', 'role']
  assert.deepEqual(causesOf(inTenant), expected)
  const [missed, , guessed] = inTenant
  assert.deepEqual(
    [missed?.actor, missed?.detail?.request],
    [`key:${idOf('v')}`, 'GET /v1/jobs/{id}'],
  )
  assert.deepEqual([guessed?.actor, guessed?.object], ['nobody', `key:${idOf('v')}`])
  assert.deepEqual(await read(rival.key, '?decision=denied'), [])

  await ask(401, unknown, '/v1/jobs')
  await ask(401, undefined, '/v1/jobs')
  await ask(401, `${operator.slice(0, -6)}aaaaaa`, '/v1/jobs')
  await ask(403, operator, '/v1/jobs')
  await ask(403, operator, '/v1/jobs', { 'x-weir-tenant': tenant.id })
  await ask(404, operator, '/v1/jobs', { 'x-weir-tenant': newUuid(), 'x-weir-reason': 'x' })
  const common = await flushed(operator, '?decision=denied')
  const told = ['unknown_tenant', 'no_reason', 'no_tenant', 'wrong_secret', 'no_key', 'unknown_key']
  assert.deepEqual(causesOf(common), told)

  await api.call('PATCH', `/v1/tenants/${tenant.id}`, { key: operator, body: { suspended: true } })
  await installation.start().then(async (other) => {
    const refused = await other.call('GET', '/v1/jobs', { key: viewer })
    assert.equal(refused.status, 403)
    await other.control.audit.flush()
  })
  const inside = { 'x-weir-tenant': tenant.id, 'x-weir-reason': 'why' }
  const [last] = await read(operator, '?decision=denied', inside)
  assert.equal(last?.detail?.cause, 'suspended')
})

test('a flood of denied requests is two entries, and what is allowed leaves none', async () => {
  const tenant = await addTenant(installation, api)
  const viewer = await addKey(api, tenant, { name: 'v', role: 'viewer' })
  const flood = 400
  for (let at = 0; at < flood; at += 20) {
    await Promise.all(
      Array.from({ length: 20 }, async () => {
        const { status } = await api.call('GET', '/v1/keys', { key: viewer })
        assert.equal(status, 403)
        assert.equal((await api.call('GET', '/v1/jobs', { key: viewer })).status, 200)
      }),
    )
  }
  const entries = await flushed(tenant.key, '?decision=denied')
  assert.equal(entries.length, 2)
  assert.equal(countOf(entries), flood)
  const [rest, first] = entries
  assert.equal(first?.detail?.count, 1)
  assert.ok(String(rest?.detail?.to) >= String(rest?.detail?.from))
  assert.equal((await read(tenant.key)).length, 4)
})

test('refused admissions say which quota, of which pipeline, how often, from when to when', async () => {
  const tenant = await addTenant(installation, api, { maxQueuedJobs: 2 })
  for (const name of ['p', 'q']) await publish(api, tenant, name, oneStep)
  const submit = (name: string) =>
    api.call('POST', `/v1/pipelines/${name}/jobs`, { key: tenant.key, body: { input: 1 } })
  for (let at = 0; at < 2; at += 1) assert.equal((await submit('p')).status, 202)
  const refused = await Promise.all(Array.from({ length: 30 }, () => submit('p')))
  assert.ok(refused.every(({ status }) => status === 429))
  assert.equal((await submit('q')).status, 429)
  const entries = await flushed(tenant.key, '?action=admission.refused')
  const [ofP, ofQ] = ['p', 'q'].map((name) =>
    entries.filter(({ object }) => object === `pipeline:${name}`),
  ) as [Entry[], Entry[]]
  assert.deepEqual([ofP.length, countOf(ofP)], [2, 30])
  assert.deepEqual([ofQ.length, countOf(ofQ)], [1, 1])
  const { count: _, from, to, ...said } = ofP[0]?.detail ?? {}
  assert.deepEqual(said, { code: 'quota_exceeded', cause: 'tenant', quota: 'maxQueuedJobs' })
  assert.ok(Date.parse(String(from)) <= Date.parse(String(to)))
})

test('a key that asks for everything it may not does not fill the log', async () => {
  const tenant = await addTenant(installation, api)
  const viewers = await Promise.all(
    Array.from({ length: 20 }, (_, at) => addKey(api, tenant, { name: `v${at}`, role: 'viewer' })),
  )
  const before = (await read(tenant.key, '?limit=500')).length
  const asked = viewers.flatMap((key) =>
    ['/v1/keys', '/v1/tenants', `/v1/tenants/${tenant.id}`, '/v1/stages/a@1/telemetry'].map(
      (path) => ({ key, path }),
    ),
  )
  for (const { key, path } of asked) {
    assert.equal((await api.call('GET', path, { key })).status, 403)
  }
  const entries = await flushed(tenant.key, '?limit=500')
  const told = entries.slice(0, entries.length - before)
  assert.equal(countOf(told), asked.length)
  assert.ok(told.length <= 65, `${told.length} entries`)
  assert.equal(told.filter(({ action }) => action === 'audit.crowded').length, 1)
})
