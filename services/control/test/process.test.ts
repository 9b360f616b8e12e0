import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createServer as createHttpServer } from 'node:http'
import { type AddressInfo, connect, createServer } from 'node:net'
import test, { after, before } from 'node:test'
import { createWithPipeline, type Installation, type Tenant, until } from './support.ts'

let installation: Installation
let acme: Tenant
const children: ChildProcess[] = []

before(async () => {
  ;({ installation, acme } = await createWithPipeline('p'))
})
after(async () => {
  for (const child of children) child.kill('SIGKILL')
  await installation.stop()
})

async function freePort(): Promise<number> {
  const server = createServer()
  await once(server.listen(0, '127.0.0.1'), 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  return port
}

async function startProcess(env: Record<string, string> = {}) {
  const port = await freePort()
  const child = spawn(
    process.execPath,
    ['--import', '@weir/runtime/telemetry', new URL('../src/main.ts', import.meta.url).pathname],
    {
      cwd: new URL('..', import.meta.url).pathname,
      env: {
        PATH: process.env.PATH,
        ...installation.env,
        WEIR_HTTP_PORT: String(port),
        WEIR_LOG_LEVEL: 'info',
        ...env,
      },
      stdio: ['ignore', 'pipe', 'pipe'],
    },
  )
  children.push(child)
  let log = ''
  child.stdout?.on('data', (data) => {
    log += data
  })
  child.stderr?.on('data', (data) => {
    log += data
  })
  const exited = once(child, 'exit').then(([code]) => Number(code))
  return { child, url: `http://127.0.0.1:${port}`, port, exited, log: () => log }
}

const isReady = (url: string) => async () => {
  const answer = await fetch(`${url}/readyz`).catch(() => undefined)
  return answer?.status === 200
}

test('a process stops in order: who waits is answered, silent connections do not hold it', async () => {
  const { child, url, port, exited, log } = await startProcess()
  await until(isReady(url), `readiness: ${log()}`)
  const silent = connect(port, '127.0.0.1')
  silent.on('error', () => {})
  await once(silent, 'connect')
  const headers = { authorization: `Bearer ${acme.key}`, 'content-type': 'application/json' }
  const body = '{"input":"a secret of the tenant"}'
  const path = `${url}/v1/pipelines/p/jobs?wait=60000`
  const waiting = fetch(path, { method: 'POST', headers, body })
  const waits = async () =>
    /weir_control_waiters\{[^}]*\} 1/.test(await (await fetch(`${url}/metrics`)).text())
  await until(waits, 'the waiting request')
  child.kill('SIGTERM')
  assert.equal((await waiting).status, 202)
  assert.equal(await exited, 0, log())
  const line = log()
    .split('\n')
    .map((text) => (text.startsWith('{') ? JSON.parse(text) : {}))
    .find((one) => one.route === '/v1/pipelines/:name/jobs')
  assert.deepEqual([line.status, line.tenant, line.method], [202, acme.id, 'POST'])
  assert.match(line.job, /^[0-9a-f-]{36}$/)
  assert.doesNotMatch(log(), /a secret of the tenant/)
  assert.doesNotMatch(log(), new RegExp(acme.key.slice(-20)))
})

test('a request has a server span in the caller’s trace, and its job goes on in it', async () => {
  const received: Buffer[] = []
  const collector = createHttpServer(async (request, response) => {
    for await (const part of request) received.push(part as Buffer)
    response.end()
  })
  await once(collector.listen(0, '127.0.0.1'), 'listening')
  const { port } = collector.address() as AddressInfo
  const env = { WEIR_OTLP_URL: `http://127.0.0.1:${port}` }
  const { child, url, exited, log } = await startProcess(env)
  await until(isReady(url), `readiness: ${log()}`)
  const trace = '0af7651916cd43dd8448eb211c80319c'
  const answer = await fetch(`${url}/v1/pipelines/p/jobs`, {
    method: 'POST',
    headers: {
      authorization: `Bearer ${acme.key}`,
      'content-type': 'application/json',
      traceparent: `00-${trace}-b7ad6b7169203331-01`,
    },
    body: '{"input":1}',
  })
  const job = (await answer.json()) as { id: string; traceId: string }
  assert.deepEqual([answer.headers.get('x-trace-id'), job.traceId], [trace, trace])
  child.kill('SIGTERM')
  assert.equal(await exited, 0, log())
  collector.close()
  const spans = Buffer.concat(received)
  assert.ok(spans.includes('POST /v1/pipelines/:name/jobs'))
  assert.ok(spans.includes(Buffer.from(trace, 'hex')))
  assert.ok(spans.includes(job.id))
  const [row] = await installation.db.admin<{ traceparent: string }>(
    'select traceparent from weir.jobs where id = $1',
    [job.id],
  )
  const [, , span, flags] = row?.traceparent.split('-') ?? []
  assert.ok(spans.includes(Buffer.from(span ?? '', 'hex')), 'the job’s parent is the exported span')
  assert.equal(flags, '01')
})

test('a process with secrets that are of no use does not start, and does not print them', async () => {
  const { exited, log } = await startProcess({ WEIR_OPERATOR_KEY: 'hunter2-hunter2' })
  assert.equal(await exited, 1)
  assert.match(log(), /WEIR_OPERATOR_KEY/)
  assert.doesNotMatch(log(), /hunter2/)
})

test('a process with the role of a superuser does not start', async () => {
  const { exited, log } = await startProcess({ WEIR_POSTGRES_URL: installation.db.adminUrl })
  assert.equal(await exited, 1, log())
})
