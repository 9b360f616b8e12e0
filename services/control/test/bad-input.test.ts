import assert from 'node:assert/strict'
import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import test, { after, before } from 'node:test'
import { type ErrorCode, errorTable } from '@weir/contracts'
import {
  type Answer,
  createWithPipeline,
  type Installation,
  type Instance,
  type Tenant,
} from './support.ts'

let installation: Installation
let api: Instance
let acme: Tenant

before(async () => {
  ;({ installation, api, acme } = await createWithPipeline('p'))
})
after(() => installation.stop())

const PATH = '/v1/pipelines/p/jobs'
const send = (raw: string | Buffer, type?: string, path = PATH) =>
  api.call('POST', path, { key: acme.key, raw, ...(type === undefined ? {} : { type }) })

function assertProblem(answer: Answer, code: ErrorCode, hint = ''): void {
  assert.equal(answer.body?.code, code, `${hint} ${answer.status} ${answer.text.slice(0, 200)}`)
  assert.equal(answer.status, errorTable[code].status)
  assert.equal(answer.headers.get('content-type'), 'application/problem+json')
  const { type, title, status, detail, instance } = answer.body
  assert.deepEqual(
    [type, title, status],
    [`/problems/${code}`, errorTable[code].title, answer.status],
  )
  assert.ok(detail.length > 0)
  assert.equal(instance, `urn:request:${answer.headers.get('x-request-id')}`)
}

test('bodies that are no JSON, or not only one reading of it, are refused', async () => {
  const bodies = [
    ...['', '{', 'x', '{"input":1}x', "{'input':1}", '\ufeff{"input":1}', '[', '{"input":1,}'],
    ...['{"input":1,"input":2}', '{"input":{"a":1,"\\u0061":2}}', '{"input":[{"b":1,"b":1}]}'],
    ...['{"input":1,"__proto__":{"role":"admin"}}', '{"input":{"__pr\\u006fto__":{}}}'],
    ...['{"input":{"constructor":{"prototype":{}}}}', '{"input":"a\\u0000b"}', '{"input":1e999}'],
    `{"input":${'['.repeat(33)}${']'.repeat(33)}}`,
    `{"input":${'['.repeat(200_000)}${']'.repeat(200_000)}}`,
    `{"input":{${Array.from({ length: 100_001 }, (_, n) => `"${n}":0`).join(',')}}}`,
  ]
  for (const body of bodies) assertProblem(await send(body), 'invalid_request', body.slice(0, 50))
  assertProblem(await send(Buffer.from([0x22, 0xff, 0xfe, 0x22])), 'invalid_request')
})

test('wrong shapes are refused with the place of the fault and without its value', async () => {
  const cases: [object, string][] = [
    [{}, '/input'],
    [{ input: 1, priority: 256 }, '/priority'],
    [{ input: 1, priority: '5' }, '/priority'],
    [{ input: 1, priority: 1.5 }, '/priority'],
    [{ input: 1, deadlineMs: 0 }, '/deadlineMs'],
    [{ input: 1, orderingKey: '' }, '/orderingKey'],
    [{ input: 1, orderingKey: 'a\nb' }, '/orderingKey'],
    [{ input: 1, correlationId: 'a b' }, '/correlationId'],
    [{ input: 1, tags: { a: 1 } }, '/tags/a'],
    [{ input: 1, tags: { 'a=b': 'c' } }, '/tags/a=b'],
    [{ input: 1, tags: [] }, '/tags'],
    [{ input: 1, version: 2 ** 31 }, '/version'],
    [{ input: 1, 'a/b~': 'secret-value' }, '/a~1b~0'],
  ]
  for (const [body, path] of cases) {
    const answer = await send(JSON.stringify(body))
    assertProblem(answer, 'invalid_request', JSON.stringify(body))
    assert.equal(answer.body.errors[0].path, path)
    assert.doesNotMatch(answer.text, /secret-value/)
  }
  for (const body of [[], 'x', null, 7]) {
    assertProblem(await send(JSON.stringify(body)), 'invalid_request')
  }
  for (const query of ['?wait=-1', '?wait=60001', '?wait=x', '?wiat=5', '?wait=1&wait=2']) {
    assertProblem(await send('{"input":1}', undefined, PATH + query), 'invalid_request', query)
  }
})

test('content types in odd spellings are refused, whatever the body', async () => {
  const types = [
    ...[
      'text/plain',
      'application/xml',
      'application/jsonx',
      'application/json;x',
      'multipart/form-data',
    ],
    ...[
      'application/json\t; charset=utf-8',
      'application/json;charset=utf-16',
      'application/json garbage',
    ],
    ...['application/json, text/plain', 'application/yaml', 'application/x-ndjson', '*/*'],
  ]
  for (const type of types) {
    assertProblem(await send('{"input":1}', type), 'unsupported_media_type', type)
  }
  for (const type of ['application/json', 'Application/JSON', 'application/json; charset=utf-8']) {
    assert.equal((await send('{"input":1}', type)).status, 202, type)
  }
  assertProblem(await send('{"priority":999,"input":1}', 'Application/Json'), 'invalid_request')
  const unread = await api.call('GET', '/v1/jobs', { key: acme.key })
  assert.equal(unread.status, 200)
})

test('bodies above the limit are refused, and the one at the limit is not', async () => {
  const at = 1024 * 1024 - 2
  assert.equal((await send(JSON.stringify({ input: 'x'.repeat(at) }))).status, 202)
  assertProblem(await send(JSON.stringify({ input: 'x'.repeat(at + 1) })), 'payload_too_large')
  assertProblem(await send(JSON.stringify({ input: 'x'.repeat(2 * at) })), 'payload_too_large')
  const batch = `${PATH}/batch`
  const jobs = Array.from({ length: 10_001 }, () => ({ input: 1 }))
  assertProblem(await send(JSON.stringify({ jobs }), undefined, batch), 'invalid_request')
  const lines = '{"input":1}\n'.repeat(10_001)
  assertProblem(await send(lines, 'application/x-ndjson', batch), 'payload_too_large')
  assertProblem(
    await send('{"input":1}\n{"input":1,"input":2}', 'application/x-ndjson', batch),
    'invalid_request',
  )
})

test('YAML that is none, has no bottom or has no end is refused', async () => {
  const put = (raw: string) =>
    api.call('PUT', '/v1/pipelines/yaml', { key: acme.key, raw, type: 'application/yaml' })
  const bomb = ['a: &a [x,x,x,x,x,x,x,x,x]']
  for (const [from, to] of ['ab', 'bc', 'cd', 'de', 'ef', 'fg', 'gh', 'hi']) {
    bomb.push(`${to}: &${to} [${Array(9).fill(`*${from}`)}]`)
  }
  const bodies = ['a: [', 'a: 1\na: 2', '!!js/function x', '- '.repeat(100_000), bomb.join('\n')]
  for (const raw of [...bodies, 'a: &a\n  b: *a', '--- 1\n--- 2', '__proto__: {}', 'a: "\\0"']) {
    assertProblem(await put(raw), 'invalid_request', raw.slice(0, 40))
  }
})

test('ids, cursors and headers that are forged are refused or not found, never a failure', async () => {
  const odd = [
    'x',
    '../../etc',
    '%00',
    "'%20or%201=1--",
    '%F0%9F%92%A9',
    'a'.repeat(200),
    '%2e%2e',
    '-1',
  ]
  for (const id of [...odd, 'AAAAAAAA-0000-7000-8000-000000000000']) {
    for (const path of [`/v1/jobs/${id}`, `/v1/jobs/${id}/events`, `/v1/tenants/${id}`]) {
      const key = path.startsWith('/v1/tenants') ? installation.operator : acme.key
      const answer = await api.call('GET', path, { key })
      assert.ok([400, 404].includes(answer.status), `${path} ${answer.status}`)
    }
  }
  assertProblem(await api.call('GET', '/v1/jobs/%ZZ', { key: acme.key }), 'invalid_request')
  assertProblem(
    await api.call('GET', `/v1/jobs/${'a'.repeat(300)}`, { key: acme.key }),
    'uri_too_long',
  )
  for (const key of ['', 'a'.repeat(256), 'a\tb', 'é']) {
    const headers = { 'idempotency-key': key }
    const answer = await api.call('POST', PATH, { key: acme.key, body: { input: 1 }, headers })
    assertProblem(answer, 'invalid_request', key)
  }
})

test('unknown addresses are not found, known ones with another method say which they know', async () => {
  for (const path of ['/v2/jobs', '/v1', '/v1/dead-letters', '/v1/replays', '/favicon.ico']) {
    assertProblem(await api.call('GET', path, { key: acme.key }), 'not_found', path)
  }
  const id = '0192f3a0-0000-7000-8000-000000000001'
  assertProblem(await api.call('POST', `/v1/jobs/${id}/cancel`, { key: acme.key }), 'not_found')
  const wrong = await api.call('DELETE', '/v1/jobs', { key: acme.key })
  assertProblem(wrong, 'method_not_allowed')
  assert.equal(wrong.headers.get('allow'), 'GET')
})

test('what is no HTTP, or too much of it, is answered as a problem too', async () => {
  const { port } = new URL(api.url)
  const speak = async (text: string): Promise<string> => {
    const socket = connect(Number(port), '127.0.0.1')
    let answer = ''
    socket.on('data', (data) => {
      answer += data
    })
    socket.on('error', () => {})
    socket.write(text)
    await once(socket, 'close')
    return answer
  }
  assert.match(await speak('NONSENSE\r\n\r\n'), /^HTTP\/1\.1 400 .*problem\+json.*invalid_request/s)
  const header = `x: ${'a'.repeat(20_000)}`
  const large = `GET /healthz HTTP/1.1\r\nhost: a\r\n${header}\r\n\r\n`
  assert.match(await speak(large), /^HTTP\/1\.1 431 .*headers_too_large/s)
  const both = `POST ${PATH} HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n`
  assert.match(await speak(both), /^HTTP\/1\.1 400/)
})

test('a database that does not answer is 503 with Retry-After, and readiness names it', async () => {
  const server = new URL(installation.db.url('weir_control'))
  const sockets = new Set<Socket>()
  const proxy = createServer((socket) => {
    const through = connect(Number(server.port), server.hostname)
    for (const end of [socket, through]) {
      sockets.add(end)
      end.on('error', () => {})
    }
    socket.pipe(through).pipe(socket)
  })
  await once(proxy.listen(0, '127.0.0.1'), 'listening')
  const cut = new URL(server)
  cut.hostname = '127.0.0.1'
  cut.port = String((proxy.address() as AddressInfo).port)
  const broken = await installation.start({ WEIR_POSTGRES_URL: cut.href })
  proxy.close()
  for (const socket of sockets) socket.destroy()
  const answer = await broken.call('GET', '/v1/usage', { key: acme.key })
  assertProblem(answer, 'unavailable')
  assert.match(answer.headers.get('retry-after') ?? '', /^[1-9]\d*$/)
  const ready = await fetch(`${broken.url}/readyz`)
  assert.equal(ready.status, 503)
  const { checks } = (await ready.json()) as { checks: Record<string, string> }
  assert.notEqual(checks.postgres, 'ok')
  assert.equal(checks.kafka, 'ok')
  assert.equal((await fetch(`${broken.url}/healthz`)).status, 200)
  assert.equal((await fetch(`${api.url}/readyz`)).status, 200)
})
