import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseUpOptions } from './up-options.ts'

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
  refuse(['--only=kafak'], {}, /kafak; there are kafka, postgres, control/)
  refuse(['--verbose'], {}, /--verbose/)
  refuse([], { WEIR_PORT: '80a' }, /WEIR_PORT "80a"/)
})
