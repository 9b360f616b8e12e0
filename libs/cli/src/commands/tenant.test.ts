import assert from 'node:assert/strict'
import { test } from 'node:test'
import { startServer } from '@weir/client/test-server'
import { makeFolder, runCli } from '../../test/support.ts'

test('a tenant becomes a context whose key nobody sees, and never in place of another', async (t) => {
  const env = { XDG_CONFIG_HOME: makeFolder(t) }
  const body = { id: 't1', name: 'acme', adminKey: 'weir_acme_topsecret', jobs: [] }
  const { baseUrl, requests } = await startServer(t, () => ({ body }))
  const create = ['tenant', 'create', 'acme', '--save-context', 'acme', '--api', baseUrl]
  const ran = await runCli(create, { env })
  assert.equal(ran.status, 0, ran.err)
  assert.doesNotMatch(ran.out + ran.err, /topsecret/)
  await runCli(['get', 'jobs', '--context', 'acme'], { env })
  assert.equal(requests.at(-1)?.headers.authorization, 'Bearer weir_acme_topsecret')

  const again = await runCli(create, { env })
  assert.equal(again.status, 2)
  assert.match(again.err, /there is a context "acme" already/)
  // It is refused before a tenant is made whose key would be lost.
  assert.equal(requests.filter(({ method }) => method === 'POST').length, 1)
})
