import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { test } from 'node:test'
import { startServer } from '@weir/client/test-server'
import { runCli } from '../test/support.ts'

const complete = async (words: readonly string[], env: Record<string, string> = {}) => {
  const { status, out, err } = await runCli(['__complete', '--', ...words], { env })
  assert.deepEqual({ status, err }, { status: 0, err: '' })
  return out.split('\n').filter((line) => line !== '')
}

test('commands, their children, options and choices are completed from the tree', async () => {
  assert.deepEqual(await complete(['st']), ['stage'])
  assert.deepEqual(await complete(['stage', 'r']), ['run', 'register', 'reactivate', 'render'])
  assert.deepEqual(await complete(['get', 'job', '--failed']), ['--failed-step'])
  assert.deepEqual(await complete(['get', 'jobs', '-o', '']), ['table', 'json', 'yaml', 'name'])
  assert.deepEqual(await complete(['completion', '']), ['bash', 'zsh', 'fish'])
  assert.ok(!(await complete([''])).includes('__complete'))
  assert.deepEqual(await complete(['nonsense', 'x']), [])
})

test('names come from the server, and none where it cannot be reached', async (t) => {
  const { baseUrl } = await startServer(t, ({ url }) =>
    url.startsWith('/v1/stages')
      ? { body: { stages: [{ ref: 'locate@1' }] } }
      : { body: { pipelines: [{ name: 'hello' }, { name: 'delays' }] } },
  )
  const env = { WEIR_API: baseUrl }
  assert.deepEqual(await complete(['submit', 'h'], env), ['hello'])
  assert.deepEqual(await complete(['submit', '--priority', '3', ''], env), ['hello', 'delays'])
  assert.deepEqual(await complete(['stage', 'get', ''], env), ['locate@1'])
  assert.deepEqual(await complete(['submit', ''], { WEIR_API: 'http://127.0.0.1:1' }), [])
})

test('the script for bash is one that bash can read', async () => {
  const { out } = await runCli(['completion', 'bash'])
  assert.equal(spawnSync('bash', ['-n'], { input: out }).status, 0)
})
