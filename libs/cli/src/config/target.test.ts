import assert from 'node:assert/strict'
import { statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { startServer } from '@weir/client/test-server'
import { makeFolder, runCli } from '../../test/support.ts'

const who = { role: 'admin', actor: 'a', scopes: [], tenant: null }

test('a flag beats the environment, which beats the context', async (t) => {
  const folder = makeFolder(t)
  const { baseUrl, requests } = await startServer(t, () => ({ body: { jobs: [], who } }))
  const keyFile = join(folder, 'flag.key')
  writeFileSync(keyFile, 'weir_flag_s\n')
  const home = { XDG_CONFIG_HOME: folder }
  const keyOf = async (args: readonly string[], env: Record<string, string> = {}) => {
    const { status } = await runCli(['get', 'jobs', ...args], { env: { ...home, ...env } })
    assert.equal(status, 0)
    return requests.at(-1)?.headers.authorization
  }
  const set = (name: string, key: string, ...more: string[]) =>
    runCli(['context', 'set', name, '--api', baseUrl, '--key-stdin', ...more], {
      env: home,
      stdin: `${key}\n`,
    })
  await set('one', 'weir_one_s')
  await set('two', 'weir_two_s')
  assert.equal(await keyOf([]), 'Bearer weir_one_s')
  assert.equal(await keyOf([], { WEIR_CONTEXT: 'two' }), 'Bearer weir_two_s')
  assert.equal(await keyOf(['--context', 'one'], { WEIR_CONTEXT: 'two' }), 'Bearer weir_one_s')
  assert.equal(await keyOf([], { WEIR_KEY: 'weir_env_s' }), 'Bearer weir_env_s')
  assert.equal(
    await keyOf(['--key-file', keyFile], { WEIR_KEY: 'weir_env_s' }),
    'Bearer weir_flag_s',
  )
  assert.equal((await runCli(['context', 'use', 'two'], { env: home })).status, 0)
  assert.equal(await keyOf([]), 'Bearer weir_two_s')
})

test('the key of a context is not sent to another address', async (t) => {
  const env = { XDG_CONFIG_HOME: makeFolder(t) }
  const { baseUrl, requests } = await startServer(t, () => ({ body: { jobs: [] } }))
  const set = ['context', 'set', 'prod', '--api', 'https://weir.example.com', '--key-stdin']
  await runCli(set, { env, stdin: 'weir_prod_s' })
  await runCli(['get', 'jobs', '--api', baseUrl], { env })
  assert.equal(requests[0]?.headers.authorization, undefined)

  // Neither does it go along when the context itself moves.
  await runCli(['context', 'set', 'prod', '--api', baseUrl], { env })
  await runCli(['get', 'jobs'], { env })
  assert.equal(requests[1]?.headers.authorization, undefined)
})

test('contexts are kept where their owner alone can read, and listing shows no secret', async (t) => {
  const folder = makeFolder(t)
  const env = { XDG_CONFIG_HOME: folder }
  const set = ['context', 'set', 'a', '--api', 'http://127.0.0.1:1', '--key-stdin']
  const { out, err } = await runCli(set, { env, stdin: 'weir_pub_topsecret' })
  assert.equal(statSync(join(folder, 'weir', 'contexts.json')).mode & 0o777, 0o600)
  for (const form of ['table', 'json', 'yaml', 'name']) {
    const listed = await runCli(['context', 'list', '-o', form], { env })
    assert.equal(listed.status, 0)
    assert.doesNotMatch(listed.out + listed.err + out + err, /topsecret/)
  }
  const { contexts } = JSON.parse((await runCli(['context', 'list', '-o', 'json'], { env })).out)
  assert.deepEqual(contexts, [
    { name: 'a', isCurrent: true, api: 'http://127.0.0.1:1', keyId: 'pub' },
  ])
})

test('a context that is not there, a broken file and a thing that is no key are named', async (t) => {
  const folder = makeFolder(t)
  const env = { XDG_CONFIG_HOME: folder }
  const absent = await runCli(['get', 'jobs', '--context', 'x'], { env })
  assert.equal(absent.status, 2)
  assert.match(absent.err, /there is no context "x"/)

  const bad = await runCli(['get', 'jobs'], { env: { ...env, WEIR_KEY: 'hunter2' } })
  assert.equal(bad.status, 2)
  assert.match(bad.err, /the key from WEIR_KEY has not the form/)
  assert.doesNotMatch(bad.err, /hunter2/)

  await runCli(['context', 'set', 'a', '--api', 'http://127.0.0.1:1'], { env })
  writeFileSync(join(folder, 'weir', 'contexts.json'), '{')
  assert.match((await runCli(['get', 'jobs'], { env })).err, /is not a file of contexts/)
})

test('an operator acts inside a tenant with a reason', async (t) => {
  const { baseUrl, requests } = await startServer(t, () => ({ body: { jobs: [] } }))
  await runCli(['get', 'jobs', '--api', baseUrl, '--tenant', 't1', '--reason', 'asked for help'])
  assert.equal(requests[0]?.headers['x-weir-tenant'], 't1')
  assert.equal(requests[0]?.headers['x-weir-reason'], 'asked for help')
})
