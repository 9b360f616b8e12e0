import assert from 'node:assert/strict'
import { test } from 'node:test'
import { problem, startServer } from '@weir/client/test-server'
import { KEY, runCli } from '../../test/support.ts'
import { checkSkew } from './doctor.ts'

type Found = Record<string, { status: string; advice?: string }>

async function examine(args: readonly string[], env: Record<string, string> = {}) {
  const { status, out } = await runCli(['doctor', ...args, '-o', 'json'], { env })
  const { checks } = JSON.parse(out) as { checks: { check: string; status: string }[] }
  return { status, found: Object.fromEntries(checks.map((one) => [one.check, one])) as Found }
}

test('a server that cannot be reached ends with 7 and advice', async () => {
  const { status, found } = await examine(['--api', 'http://127.0.0.1:1'])
  assert.equal(status, 7)
  assert.equal(found.server?.status, 'fail')
  assert.match(found.server?.advice ?? '', /is the address from --api right/)
})

test('without a key, and with one that is refused, it ends with 4 and says which key', async (t) => {
  const { baseUrl } = await startServer(t, ({ url }) =>
    url.startsWith('/v1/') ? problem(401, 'unauthenticated') : { body: { checks: {} } },
  )
  const none = await examine(['--api', baseUrl])
  assert.deepEqual([none.status, none.found.credential?.status], [4, 'fail'])
  const refused = await examine(['--api', baseUrl], { WEIR_KEY: KEY })
  assert.equal(refused.status, 4)
  assert.match(refused.found.credential?.advice ?? '', /the key from WEIR_KEY is wrong/)
})

test('a server that is not ready is named with the part that fails', async (t) => {
  const { baseUrl } = await startServer(t, ({ url }) => {
    if (url === '/readyz') return { status: 503, body: { checks: { kafka: 'no broker answers' } } }
    return { body: { role: 'admin', actor: 'a', scopes: [], tenant: { id: 't', name: 'acme' } } }
  })
  const { status, out } = await runCli(['doctor', '--api', baseUrl], { env: { WEIR_KEY: KEY } })
  assert.equal(status, 1)
  assert.match(out, /^readiness +fail +kafka: no broker answers/m)
  assert.match(out, /^credential +ok +admin of acme \(key from WEIR_KEY\)/m)
})

test('a clock is off when it differs by more than its header and the answer can explain', () => {
  const sentMs = 1_000_000
  assert.equal(checkSkew(sentMs - 1_000, sentMs, 800).status, 'ok')
  const ahead = checkSkew(sentMs + 60_000, sentMs, 100)
  assert.deepEqual([ahead.status, ahead.found], ['warn', 'the server is 60 s ahead'])
  const behind = checkSkew(sentMs - 60_000, sentMs, 100)
  assert.match(behind.found, /behind/)
})
