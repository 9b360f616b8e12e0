import assert from 'node:assert/strict'
import { symlinkSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { makeTestHome } from './test-support.ts'
import { parseUpOptions, readHome } from './up-options.ts'

test('options come from arguments and environment', () => {
  const env = { WEIR_HOME: '/tmp/somewhere', WEIR_PORT: '8181' }
  assert.deepEqual(parseUpOptions(['--only=kafka,control', '--foreground'], env), {
    home: '/tmp/somewhere',
    apiPort: 8181,
    only: ['kafka', 'control'],
    isForeground: true,
  })
  assert.match(parseUpOptions([], {}).home, /\/\.weir$/)
})

test('a wrong option is refused by name', () => {
  const refuse = (args: string[], env: NodeJS.ProcessEnv, message: RegExp): void =>
    assert.throws(() => parseUpOptions(args, env), { code: 'invalid_option', message })
  refuse(['--only=kafak'], {}, /kafak; there are kafka, postgres, jaeger, control/)
  refuse(['--verbose'], {}, /--verbose/)
  refuse([], { WEIR_PORT: '80a' }, /WEIR_PORT "80a"/)
})

test('links that lead to one home make one home', (t) => {
  const dir = makeTestHome(t)
  symlinkSync(dir, join(dir, 'link'))
  const direct = readHome({ WEIR_HOME: join(dir, 'home') })
  assert.equal(readHome({ WEIR_HOME: join(dir, 'link', 'home') }), direct)
})
