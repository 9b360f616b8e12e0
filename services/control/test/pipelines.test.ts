import assert from 'node:assert/strict'
import test, { after, before } from 'node:test'
import {
  addKey,
  addStage,
  addTenant,
  createInstallation,
  type Installation,
  type Instance,
  publish,
  type Tenant,
} from './support.ts'

let installation: Installation
let api: Instance
let acme: Tenant

before(async () => {
  installation = await createInstallation()
  api = await installation.start()
  acme = await addTenant(installation, api)
  for (const ref of ['a@1', 'b@1']) await addStage(installation, api, ref)
})
after(() => installation.stop())

const simple = { steps: { a: { stage: 'a@1' } } }
const put = (name: string, body: unknown, headers: Record<string, string> = {}) =>
  api.call('PUT', `/v1/pipelines/${name}`, { key: acme.key, body, headers })
const codes = (answer: { body: { errors: { code: string }[] } }) =>
  answer.body.errors.map(({ code }) => code)

test('a document becomes a version, the same one again does not, another one does', async () => {
  const first = await put('delays', simple)
  assert.equal(first.status, 201)
  assert.equal(first.body.version, 1)
  assert.equal(first.headers.get('etag'), '"1"')
  const again = await put('delays', { steps: { a: { stage: 'a@1' } } })
  assert.deepEqual([again.status, again.body.version], [200, 1])
  assert.equal(again.body.planId, first.body.planId)
  const other = await put('delays', { deadlineMs: 5_000, ...simple })
  assert.deepEqual([other.status, other.body.version], [201, 2])
  const current = await api.call('GET', '/v1/pipelines/delays', { key: acme.key })
  assert.deepEqual(current.body.document, { deadlineMs: 5_000, ...simple })
  assert.equal(current.body.effective.onFailure, 'fail_fast')
  const versions = await api.call('GET', '/v1/pipelines/delays/versions', { key: acme.key })
  assert.deepEqual(
    versions.body.versions.map(({ version }: { version: number }) => version),
    [2, 1],
  )
  const one = await api.call('GET', '/v1/pipelines/delays/versions/1', { key: acme.key })
  assert.deepEqual(one.body.document, simple)
  for (const missing of ['3', '0', '-1', '1e0', 'x', '99999999999999']) {
    const answer = await api.call('GET', `/v1/pipelines/delays/versions/${missing}`, {
      key: acme.key,
    })
    assert.equal(answer.status, 404)
  }
})

test('YAML and JSON are the same document', async () => {
  const raw = 'steps:\n  a: { stage: a@1 }\n  b: { stage: b@1, after: [a] }\n'
  const yaml = await api.call('PUT', '/v1/pipelines/both', {
    key: acme.key,
    raw,
    type: 'application/yaml',
  })
  assert.equal(yaml.status, 201, yaml.text)
  const json = await put('both', {
    steps: { a: { stage: 'a@1' }, b: { stage: 'b@1', after: ['a'] } },
  })
  assert.deepEqual([json.status, json.body.version], [200, 1])
})

test('If-Match guards against a version that somebody else has published', async () => {
  await put('guarded', simple)
  const stale = await put('guarded', { deadlineMs: 1, ...simple }, { 'if-match': '"7"' })
  assert.equal(stale.status, 412)
  assert.equal(stale.body.currentVersion, 1)
  const fresh = await put('guarded', { deadlineMs: 1, ...simple }, { 'if-match': '"1"' })
  assert.equal(fresh.status, 201)
  assert.equal((await put('not-there', simple, { 'if-match': '"1"' })).status, 412)
  assert.equal((await api.call('GET', '/v1/pipelines/not-there', { key: acme.key })).status, 404)
})

test('concurrent publishes each get a version of their own, without a gap', async () => {
  const answers = await Promise.all(
    Array.from({ length: 10 }, (_, index) => put('raced', { deadlineMs: index + 1, ...simple })),
  )
  const versions = answers.map(({ body }) => body.version).sort((a, b) => a - b)
  assert.deepEqual(versions, [1, 2, 3, 4, 5, 6, 7, 8, 9, 10])
})

test('faults are answered with their codes and places, and nothing is published', async () => {
  const cycle = {
    steps: { a: { stage: 'a@1', after: ['b'] }, b: { stage: 'b@1', after: ['a'] } },
  }
  const answer = await put('broken', cycle)
  assert.equal(answer.status, 422)
  assert.equal(answer.body.code, 'invalid_pipeline')
  assert.ok(codes(answer).includes('cycle'))
  const unknown = await put('broken', { steps: { a: { stage: 'nowhere@1' } } })
  assert.deepEqual(unknown.body.errors[0].path, '/steps/a/stage')
  for (const body of [
    {},
    [],
    'x',
    null,
    7,
    { steps: [] },
    { steps: {} },
    { ...simple, extra: 1 },
  ]) {
    assert.equal((await put('broken', body)).status, 422, JSON.stringify(body))
  }
  assert.equal((await api.call('GET', '/v1/pipelines/broken', { key: acme.key })).status, 404)
})

test('a document is validated without publishing, with its defaults shown', async () => {
  const path = '/v1/pipelines/draft/validate'
  const good = await api.call('POST', path, { key: acme.key, body: simple })
  assert.equal(good.body.valid, true)
  assert.equal(good.body.effective.steps.a.timeoutMs, 30_000)
  const bad = await api.call('POST', path, {
    key: acme.key,
    body: { steps: { a: { stage: 'a@1', after: ['zz'] } } },
  })
  assert.equal(bad.body.valid, false)
  assert.deepEqual(codes(bad), ['missing_step'])
  assert.equal((await api.call('GET', '/v1/pipelines/draft', { key: acme.key })).status, 404)
})

test('a pipeline of ten thousand steps is refused as too large', async () => {
  const entries = Array.from({ length: 10_000 }, (_, index) => [`s${index}`, { stage: 'a@1' }])
  const answer = await put('huge', { steps: Object.fromEntries(entries) })
  assert.ok([413, 422].includes(answer.status), answer.text.slice(0, 200))
  const some = Object.fromEntries(entries.slice(0, 4_000))
  assert.deepEqual(codes(await put('huge', { steps: some })), ['too_large'])
})

test('schema bombs in the input are refused at once', async () => {
  const start = performance.now()
  const $defs: Record<string, unknown> = { d0: {} }
  for (let level = 1; level <= 28; level++) {
    const $ref = `#/$defs/d${level - 1}`
    $defs[`d${level}`] = { allOf: [{ $ref }, { $ref }] }
  }
  const oneOf = Array.from({ length: 2_000 }, (_, index) => ({ const: index }))
  const bombs = [
    { oneOf },
    { $defs, $ref: '#/$defs/d28' },
    { $ref: 'http://169.254.169.254/latest/meta-data' },
    { type: 'strnig' },
    { pattern: '(' },
    { format: 'regex' },
    'x',
  ]
  for (const input of bombs) {
    const answer = await put('bomb', { ...simple, input })
    assert.equal(answer.status, 422, JSON.stringify(input).slice(0, 80))
    assert.match(answer.body.errors[0].path, /^\/input/)
  }
  assert.ok(performance.now() - start < 10_000)
})

test('a name that is none is refused, one that is not there is not found', async () => {
  for (const name of ['A', '-a', 'a_b', 'a'.repeat(64)]) {
    assert.equal((await put(name, simple)).status, 400, name)
  }
  for (const name of ['nothing', "'%20or%201=1--", '%00', 'a%2Fb']) {
    const answer = await api.call('GET', `/v1/pipelines/${name}`, { key: acme.key })
    assert.ok([400, 404].includes(answer.status), `${name} ${answer.status}`)
  }
})

test('a pipeline is paused, resumed, set back and deleted', async () => {
  const key = acme.key
  await put('moved', simple)
  await put('moved', { deadlineMs: 1, ...simple })
  assert.equal((await api.call('POST', '/v1/pipelines/moved/pause', { key })).body.paused, true)
  assert.equal((await api.call('POST', '/v1/pipelines/moved/resume', { key })).body.paused, false)
  const back = await api.call('PUT', '/v1/pipelines/moved/current', { key, body: { version: 1 } })
  assert.equal(back.body.version, 1)
  const none = await api.call('PUT', '/v1/pipelines/moved/current', { key, body: { version: 9 } })
  assert.equal(none.status, 404)
  assert.equal((await api.call('DELETE', '/v1/pipelines/moved', { key })).status, 204)
  assert.equal((await api.call('GET', '/v1/pipelines/moved', { key })).status, 404)
  const submit = await api.call('POST', '/v1/pipelines/moved/jobs', { key, body: { input: 1 } })
  assert.equal(submit.status, 404)
  assert.equal((await put('moved', simple)).body.version, 3)
})

test('no more pipelines than the quota allows', async () => {
  const small = await addTenant(installation, api, { maxPipelines: 2 })
  await publish(api, small, 'one', simple)
  await publish(api, small, 'two', simple)
  const answer = await api.call('PUT', '/v1/pipelines/three', { key: small.key, body: simple })
  assert.equal(answer.status, 429)
  assert.equal(answer.body.code, 'quota_exceeded')
  assert.ok(Number(answer.headers.get('retry-after')) >= 1)
  const listed = await api.call('GET', '/v1/pipelines?limit=1', { key: small.key })
  assert.deepEqual(
    listed.body.pipelines.map(({ name }: { name: string }) => name),
    ['one'],
  )
  const next = await api.call('GET', `/v1/pipelines?limit=1&cursor=${listed.body.nextCursor}`, {
    key: small.key,
  })
  assert.deepEqual([next.body.pipelines[0].name, next.body.nextCursor], ['two', undefined])
})

test('a viewer publishes nothing', async () => {
  const key = await addKey(api, acme, { name: 'viewer', role: 'viewer' })
  const answer = await api.call('PUT', '/v1/pipelines/viewed', { key, body: simple })
  assert.equal(answer.status, 403)
})
