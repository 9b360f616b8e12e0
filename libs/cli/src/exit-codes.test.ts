import assert from 'node:assert/strict'
import { test } from 'node:test'
import { problem, startServer } from '@weir/client/test-server'
import { KEY, runCli } from '../test/support.ts'

const answers: readonly (readonly [status: number, code: string, exit: number])[] = [
  [400, 'invalid_request', 1],
  [401, 'unauthenticated', 4],
  [403, 'forbidden', 4],
  [404, 'not_found', 3],
  [409, 'invalid_transition', 5],
  [409, 'job_already_finished', 5],
  [412, 'version_conflict', 5],
  [422, 'invalid_input', 1],
  [422, 'idempotency_mismatch', 5],
  [500, 'internal', 1],
]

test('what the server refuses has the exit status of its kind', async (t) => {
  for (const [status, code, exit] of answers) {
    const { baseUrl } = await startServer(t, () => problem(status, code))
    const ran = await runCli(['get', 'job', 'j1', '--api', baseUrl], { env: { WEIR_KEY: KEY } })
    assert.deepEqual({ code, status: ran.status, out: ran.out }, { code, status: exit, out: '' })
    assert.match(ran.err, new RegExp(`^weir: detail of ${code}`))
  }
})

test('faults of a document are named with their place, and hints say what to do', async (t) => {
  const errors = [{ path: '/input/rows', code: 'required', message: 'is missing' }]
  const refused = await startServer(t, () => problem(422, 'invalid_input', { errors }))
  const { err } = await runCli(['submit', 'p', '--api', refused.baseUrl])
  assert.match(err, /\n {2}\/input\/rows: is missing \(required\)\n/)

  const full = await startServer(t, () =>
    problem(429, 'backpressure', { cause: 'platform', stage: 'a@1' }, { 'retry-after': '7' }),
  )
  const busy = await runCli(['submit', 'p', '--api', full.baseUrl])
  assert.equal(busy.status, 1)
  assert.match(busy.err, /hint: try again in 7 s \(caused by the platform at a@1\)/)

  const active = { state: 'active', allowed: ['deactivate', 'terminate'] }
  const stage = await startServer(t, () => problem(409, 'invalid_transition', active))
  const wrong = await runCli(['stage', 'activate', 'a@1', '--api', stage.baseUrl])
  assert.match(wrong.err, /hint: it is active; allowed: deactivate, terminate/)
})

test('what is interrupted ends with 130', async (t) => {
  const stop = new AbortController()
  const { baseUrl } = await startServer(t, () => {
    stop.abort(new Error('interrupted'))
    return undefined
  })
  const { status } = await runCli(['get', 'jobs', '--api', baseUrl], { signal: stop.signal })
  assert.equal(status, 130)
})

test('what a server is too old for is told from what is not there by its own contract', async (t) => {
  const paths: Record<string, unknown> = {}
  const { baseUrl } = await startServer(t, ({ url }) =>
    url === '/openapi.json' ? { body: { info: {}, paths } } : problem(404, 'not_found'),
  )
  const pause = ['replay', 'pause', 'r1', '--api', baseUrl, '-o', 'json']
  const old = await runCli(pause)
  assert.equal(old.status, 1)
  assert.equal(JSON.parse(old.err).error.code, 'not_in_this_server')
  for (const args of [['dlq', 'list'], ['replay', 'list'], ['flow']]) {
    assert.match((await runCli([...args, '--api', baseUrl])).err, /does not have .* yet/)
  }

  paths['/v1/replays/{id}/pause'] = { post: {} }
  const absent = await runCli(pause)
  assert.equal(absent.status, 3)
  assert.equal(JSON.parse(absent.err).error.code, 'not_found')
})

test('without a terminal, what cannot be undone needs --yes', async (t) => {
  const { baseUrl, requests } = await startServer(t, () => ({ status: 204, body: '' }))
  const args = ['key', 'revoke', 'k1', '--api', baseUrl]
  assert.equal((await runCli(args)).status, 2)
  assert.equal(requests.length, 0)
  assert.equal((await runCli([...args, '--yes'])).status, 0)
  assert.deepEqual(
    requests.map(({ method, url }) => `${method} ${url}`),
    ['DELETE /v1/keys/k1'],
  )
})
