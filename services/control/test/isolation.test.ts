import assert from 'node:assert/strict'
import test, { after, before } from 'node:test'
import { newUuid } from '@weir/contracts'
import { formatCursor } from '../src/jobs/cursor.ts'
import { type Asker, roleTable } from './role-table.ts'
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
let rival: Tenant
let theirJob: string
let theirKeyId: string

before(async () => {
  ;({ installation, api, acme } = await createWithPipeline('ours'))
  rival = await addTenant(installation, api)
  await publish(api, rival, 'theirs', oneStep)
  const job = await api.call('POST', '/v1/pipelines/theirs/jobs', {
    key: rival.key,
    body: { input: 'secret', correlationId: 'their-correlation', tags: { secret: 'tag' } },
    headers: { 'idempotency-key': 'their-key' },
  })
  theirJob = job.body.id
  const keys = await api.call('GET', '/v1/keys', { key: rival.key })
  theirKeyId = keys.body.keys[0].id
})
after(() => installation.stop())

/** The answer without what differs between any two requests. */
const plain = (answer: { status: number; headers: Headers; body: unknown }) => ({
  status: answer.status,
  type: answer.headers.get('content-type'),
  headers: [...answer.headers.keys()].sort(),
  body: { ...(answer.body as object), instance: '' },
})

test('another tenant’s thing is answered like one that does not exist', async () => {
  const simple = { steps: { a: { stage: 'a@1' } } }
  const cases: [string, (id: string) => string, string, string, unknown?][] = [
    ['GET', (id) => `/v1/jobs/${id}`, theirJob, newUuid()],
    ['GET', (id) => `/v1/jobs/${id}?include=input,outputs&wait=10`, theirJob, newUuid()],
    ['GET', (id) => `/v1/jobs/${id}/events`, theirJob, newUuid()],
    ['POST', (id) => `/v1/jobs/${id}/cancel`, theirJob, newUuid(), {}],
    ['GET', (name) => `/v1/pipelines/${name}`, 'theirs', 'nobodys'],
    ['GET', (name) => `/v1/pipelines/${name}/versions`, 'theirs', 'nobodys'],
    ['GET', (name) => `/v1/pipelines/${name}/versions/1`, 'theirs', 'nobodys'],
    ['DELETE', (name) => `/v1/pipelines/${name}`, 'theirs', 'nobodys'],
    ['POST', (name) => `/v1/pipelines/${name}/pause`, 'theirs', 'nobodys'],
    ['PUT', (name) => `/v1/pipelines/${name}/current`, 'theirs', 'nobodys', { version: 1 }],
    ['POST', (name) => `/v1/pipelines/${name}/jobs`, 'theirs', 'nobodys', { input: 1 }],
    [
      'POST',
      (name) => `/v1/pipelines/${name}/jobs/batch`,
      'theirs',
      'nobodys',
      { jobs: [{ input: 1 }] },
    ],
    ['DELETE', (id) => `/v1/keys/${id}`, theirKeyId, newUuid()],
  ]
  for (const [method, path, foreign, missing, body] of cases) {
    const options = { key: acme.key, ...(body === undefined ? {} : { body }) }
    const theirs = await api.call(method, path(foreign), options)
    const nobodys = await api.call(method, path(missing), options)
    assert.equal(theirs.status, 404, `${method} ${path(foreign)}`)
    assert.deepEqual(plain(theirs), plain(nobodys), `${method} ${path(foreign)}`)
  }
  const stream = await api.call('GET', `/v1/jobs/${theirJob}/events`, {
    key: acme.key,
    headers: { accept: 'text/event-stream', 'last-event-id': '0' },
  })
  assert.equal(stream.status, 404)
  const guarded = await api.call('PUT', '/v1/pipelines/theirs', {
    key: acme.key,
    body: simple,
    headers: { 'if-match': '"1"' },
  })
  assert.equal(guarded.status, 412)
  assert.equal((await api.call('GET', '/v1/pipelines/theirs', { key: rival.key })).status, 200)
})

test('lists, filters and forged cursors show nothing of another tenant', async () => {
  const queries = [
    '',
    '?status=queued',
    '?pipeline=theirs',
    '?correlationId=their-correlation',
    '?idempotencyKey=their-key',
    '?tag.secret=tag',
    `?cursor=${formatCursor('ffffffff-ffff-7fff-bfff-ffffffffffff')}`,
    `?cursor=${formatCursor(theirJob)}`,
  ]
  for (const query of queries) {
    const answer = await api.call('GET', `/v1/jobs${query}`, { key: acme.key })
    assert.equal(answer.status, 200, query)
    assert.deepEqual(answer.body.jobs, [], query)
  }
  for (const filter of [
    { pipeline: 'theirs' },
    { correlationId: 'their-correlation' },
    undefined,
  ]) {
    const body = filter === undefined ? { all: true } : { filter }
    const answer = await api.call('POST', '/v1/jobs/cancel', { key: acme.key, body })
    assert.deepEqual(answer.body, { cancelled: 0, cancelling: 0, more: false })
  }
  const counts = await api.call('GET', '/v1/jobs/counts', { key: acme.key })
  assert.deepEqual(counts.body, { total: 0, byStatus: {} })
  const theirs = await api.call('GET', `/v1/jobs/${theirJob}`, { key: rival.key })
  assert.equal(theirs.body.status, 'queued')
  const keys = await api.call('GET', '/v1/keys', { key: acme.key })
  assert.ok(keys.body.keys.every(({ id }: { id: string }) => id !== theirKeyId))
  const pipelines = await api.call('GET', '/v1/pipelines?limit=500', { key: acme.key })
  assert.deepEqual(
    pipelines.body.pipelines.map(({ name }: { name: string }) => name),
    ['ours'],
  )
})

test('members that nobody may set are refused, not ignored', async () => {
  const forged = { tenant_id: rival.id, tenantId: rival.id, role: 'operator', state: 'completed' }
  for (const [name, value] of Object.entries(forged)) {
    const bodies: [string, string, object][] = [
      ['POST', '/v1/pipelines/ours/jobs', { input: 1, [name]: value }],
      [
        'POST',
        '/v1/keys',
        { name: 'x', role: 'viewer', ...(name === 'role' ? { Role: value } : { [name]: value }) },
      ],
    ]
    for (const [method, path, body] of bodies) {
      const answer = await api.call(method, path, { key: acme.key, body })
      assert.equal(answer.status, 400, `${path} ${JSON.stringify(body)}`)
    }
  }
  const role = await api.call('POST', '/v1/keys', {
    key: acme.key,
    body: { name: 'x', role: 'operator' },
  })
  assert.equal(role.status, 400)
})

test('every route answers every role as the contract says', async () => {
  const document = (await api.call('GET', '/openapi.json')).body
  const keys: Record<Asker, string | undefined> = {
    operator: installation.operator,
    admin: acme.key,
    developer: await addKey(api, acme, { name: 'd', role: 'developer' }),
    submitter: await addKey(api, acme, { name: 's', role: 'submitter' }),
    viewer: await addKey(api, acme, { name: 'v', role: 'viewer' }),
    nobody: undefined,
  }
  const routes = Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.keys(methods as object).map((method) => `${method.toUpperCase()} ${path}`),
  )
  assert.deepEqual(
    routes.sort(),
    [...roleTable.keys()].sort(),
    'the routes are not those of the table',
  )
  for (const [route, cells] of roleTable) {
    assert.deepEqual([...cells.keys()].sort(), Object.keys(keys).sort(), route)
    const [method = '', path = ''] = route.split(' ')
    const url = path.replace(/\{[^}]+\}/g, 'nothing-here')
    // A body that no route takes: whoever may come in is told so, and nothing is changed.
    const body = method === 'GET' || method === 'DELETE' ? {} : { raw: '{"a":1,"a":2}' }
    // A stream that is let in does not end by itself.
    const isStream = path.endsWith('/stream')
    for (const [asker, refusal] of cells) {
      const key = keys[asker]
      const said = key === undefined ? {} : { key }
      const { status } = isStream
        ? await openStream(url, key)
        : await api.call(method, url, { ...said, ...body })
      const asked = `${asker} ${route}: ${status}`
      if (refusal !== null) assert.equal(status, refusal, asked)
      else assert.ok(status !== 401 && status !== 403 && status < 500, asked)
    }
  }
})

async function openStream(path: string, key?: string): Promise<{ readonly status: number }> {
  const headers = key === undefined ? {} : { authorization: `Bearer ${key}` }
  const response = await fetch(`${api.url}${path}`, { headers })
  await response.body?.cancel()
  return response
}

test('a denial is written to the audit log', async () => {
  const key = await addKey(api, rival, { name: 'v', role: 'viewer' })
  const answer = await api.call('POST', '/v1/pipelines/theirs/jobs', { key, body: { input: 1 } })
  assert.equal(answer.status, 403)
  await api.control.audit.settled()
  const [entry] = await installation.db.admin<{ decision: string; action: string }>(
    'select decision, action from weir.audit_log where request_id = $1',
    [answer.headers.get('x-request-id')],
  )
  assert.deepEqual(entry, { decision: 'denied', action: 'access.denied' })
})

test('nobody reads the audit log of another tenant, or of the installation', async () => {
  const refused = await api.call('GET', '/v1/tenants', { key: rival.key })
  assert.equal(refused.status, 403)
  await api.control.audit.settled()
  const read = async (key: string, query = '') => {
    const answer = await api.call('GET', `/v1/audit${query}`, { key })
    assert.equal(answer.status, 200, query)
    return answer.body.entries as { id: string; object: string; actor: string }[]
  }
  const own = await read(rival.key)
  const [denied] = own
  assert.equal(denied?.object, '/v1/tenants', 'the rival sees its own')
  const common = await read(installation.operator, '?limit=500')
  assert.ok(common.length > 0)
  const cursor = formatCursor('ffffffff-ffff-7fff-bfff-ffffffffffff')
  const queries = [
    '?limit=500',
    `?cursor=${cursor}`,
    `?actor=${denied.actor}`,
    '?decision=denied',
    '?action=access.denied',
    `?cursor=${formatCursor(denied.id)}`,
  ]
  for (const query of queries) {
    const seen = (await read(acme.key, query)).map(({ id }) => id)
    for (const { id } of own) assert.ok(!seen.includes(id), `acme sees the rival’s with ${query}`)
    for (const { id, object } of common) {
      const isOwn = object === `tenant:${acme.id}`
      assert.ok(isOwn || !seen.includes(id), `acme sees the installation’s with ${query}`)
    }
  }
})
