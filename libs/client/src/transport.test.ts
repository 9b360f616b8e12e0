import assert from 'node:assert/strict'
import { test } from 'node:test'
import { problem, startServer } from '../test/support.ts'
import { createClient } from './client.ts'
import { ClientError, parseRetryAfter } from './client-error.ts'

const key = 'weir_k_s'

test('a problem document becomes an error with its code, status, faults and further members', async (t) => {
  const errors = [{ path: '/steps/b', code: 'unknown_stage', message: 'there is no such stage' }]
  const { baseUrl } = await startServer(t, () =>
    problem(422, 'invalid_pipeline', { errors, stage: 'b@1' }),
  )
  const client = createClient({ baseUrl, key })
  await assert.rejects(client.pipelines.publish('p', { document: {} }), (error) => {
    assert.ok(ClientError.is(error))
    assert.equal(error.code, 'invalid_pipeline')
    assert.equal(error.status, 422)
    assert.equal(error.message, 'detail of invalid_pipeline')
    assert.deepEqual(error.errors, errors)
    assert.deepEqual(error.members, { stage: 'b@1' })
    assert.equal(error.requestId, 'r-1')
    return true
  })
})

test('the key and the tenant of an operator travel in headers, never in the address', async (t) => {
  const { baseUrl, requests } = await startServer(t, () => ({ body: { jobs: [] } }))
  const tenant = { id: 'b1', reason: 'Störung nachsehen' }
  await createClient({ baseUrl: `${baseUrl}/`, key, tenant }).jobs.list({
    status: ['failed', 'dropped'],
    tags: { team: 'a b' },
    limit: 5,
  })
  const [request] = requests
  assert.equal(request?.headers.authorization, `Bearer ${key}`)
  assert.equal(request?.headers['x-weir-tenant'], 'b1')
  assert.equal(request?.headers['x-weir-reason'], 'St?rung nachsehen')
  assert.equal(request?.url, '/v1/jobs?status=failed&status=dropped&limit=5&tag.team=a+b')
})

test('names in paths cannot leave their segment', async (t) => {
  const { baseUrl, requests } = await startServer(t, () => ({ body: {} }))
  const client = createClient({ baseUrl, key })
  await client.pipelines.get('../tenants?x=1#')
  await client.stages.get('locate@1')
  assert.deepEqual(
    requests.map(({ url }) => url),
    ['/v1/pipelines/..%2Ftenants%3Fx%3D1%23', '/v1/stages/locate@1'],
  )
  // An address would take these for steps upwards, encoded or not.
  for (const name of ['..', '.', '']) {
    assert.throws(() => client.tenants.delete(name), { code: 'not_found' })
  }
  assert.equal(requests.length, 2)
})

test('an idempotent call is repeated after 429 and 503, as Retry-After says', async (t) => {
  const { baseUrl, requests } = await startServer(t, () => {
    if (requests.length === 1) return problem(429, 'rate_limited', {}, { 'retry-after': '0' })
    if (requests.length === 2) return problem(503, 'unavailable')
    return { body: { jobs: [] } }
  })
  const waits: number[] = []
  const client = createClient({ baseUrl, key, onRetry: (_error, waitMs) => waits.push(waitMs) })
  assert.deepEqual(await client.jobs.list(), { jobs: [] })
  assert.equal(requests.length, 3)
  assert.equal(waits[0], 0)
  assert.ok((waits[1] as number) > 0)
})

test('a repeated call is bounded in number', async (t) => {
  const { baseUrl, requests } = await startServer(t, () =>
    problem(503, 'unavailable', {}, { 'retry-after': '0' }),
  )
  const client = createClient({ baseUrl, key, retry: { attempts: 3 } })
  await assert.rejects(client.jobs.list(), { code: 'unavailable' })
  assert.equal(requests.length, 3)
})

test('where the server asks for a longer wait than is allowed, its refusal is thrown at once', async (t) => {
  const { baseUrl, requests } = await startServer(t, () =>
    problem(429, 'quota_exceeded', { cause: 'tenant' }, { 'retry-after': '90' }),
  )
  await assert.rejects(createClient({ baseUrl, key }).jobs.list(), (error) => {
    assert.ok(ClientError.is(error))
    assert.equal(error.retryAfterS, 90)
    assert.equal(error.members.cause, 'tenant')
    return true
  })
  assert.equal(requests.length, 1)
})

test('a submit is repeated only under an idempotency key', async (t) => {
  const { baseUrl, requests } = await startServer(t, ({ headers }) =>
    headers['idempotency-key'] !== undefined && requests.length > 2
      ? { status: 202, body: { id: 'j1' }, headers: { 'idempotency-replayed': 'true' } }
      : problem(429, 'backpressure', {}, { 'retry-after': '0' }),
  )
  const client = createClient({ baseUrl, key })
  await assert.rejects(client.jobs.submit('p', { input: 1 }), { code: 'backpressure' })
  assert.equal(requests.length, 1)
  const job = await client.jobs.submit('p', { input: 1 }, { idempotencyKey: 'k' })
  assert.deepEqual({ id: job.id, isReplayed: job.isReplayed }, { id: 'j1', isReplayed: true })
  assert.equal(requests.length, 3)
})

test('a batch is repeated only when every job of it has an idempotency key', async (t) => {
  const { baseUrl, requests } = await startServer(t, () =>
    problem(503, 'unavailable', {}, { 'retry-after': '0' }),
  )
  const client = createClient({ baseUrl, key, retry: { attempts: 2 } })
  const named = { input: 1, idempotencyKey: 'a' }
  await assert.rejects(client.jobs.submitBatch('p', [named, { input: 2 }]))
  assert.equal(requests.length, 1)
  await assert.rejects(client.jobs.submitBatch('p', [named]))
  assert.equal(requests.length, 3)
})

test('nobody listening, an answer that never comes, and an answer of somebody else are told apart', async (t) => {
  const nobody = createClient({ baseUrl: 'http://127.0.0.1:1' })
  await assert.rejects(nobody.whoami(), { code: 'unreachable', status: 0 })

  const silent = await startServer(t, () => undefined)
  const impatient = createClient({ baseUrl: silent.baseUrl, timeoutMs: 50 })
  await assert.rejects(impatient.whoami(), { code: 'timed_out', status: 0 })

  const html = await startServer(t, () => ({ status: 502, body: '<h1>Bad Gateway</h1>' }))
  await assert.rejects(createClient({ baseUrl: html.baseUrl }).whoami(), {
    code: 'bad_answer',
    status: 502,
  })
  const page = await startServer(t, () => ({ body: '<h1>Hello</h1>' }))
  await assert.rejects(createClient({ baseUrl: page.baseUrl }).whoami(), { code: 'bad_answer' })
})

test('a redirect is not followed: the key stays with the address it was given for', async (t) => {
  const other = await startServer(t, () => ({ body: {} }))
  const { baseUrl } = await startServer(t, () => ({
    status: 307,
    headers: { location: other.baseUrl },
    body: '',
  }))
  await assert.rejects(createClient({ baseUrl, key }).whoami(), { code: 'bad_answer', status: 307 })
  assert.equal(other.requests.length, 0)
})

test('a signal ends a call with its own reason, also while it waits to repeat', async (t) => {
  const { baseUrl } = await startServer(t, () =>
    problem(503, 'unavailable', {}, { 'retry-after': '20' }),
  )
  const stop = new AbortController()
  const client = createClient({
    baseUrl,
    signal: stop.signal,
    onRetry: () => stop.abort(new Error('stop')),
  })
  const startedAt = performance.now()
  await assert.rejects(client.whoami())
  assert.ok(performance.now() - startedAt < 5_000)
})

test('not being ready is an answer that names the failing part', async (t) => {
  const checks = { postgres: 'no connection', kafka: 'ok' }
  const { baseUrl } = await startServer(t, () => ({ status: 503, body: { status: 'no', checks } }))
  assert.deepEqual(await createClient({ baseUrl }).readiness(), { isReady: false, checks })
})

test('Retry-After is a number of seconds or a date', () => {
  const now = Date.parse('2026-01-01T00:00:00Z')
  assert.equal(parseRetryAfter('7', now), 7)
  assert.equal(parseRetryAfter('Thu, 01 Jan 2026 00:00:09 GMT', now), 9)
  assert.equal(parseRetryAfter('Wed, 31 Dec 2025 00:00:00 GMT', now), 0)
  assert.equal(parseRetryAfter('soon', now), undefined)
  assert.equal(parseRetryAfter(null, now), undefined)
})
