import assert from 'node:assert/strict'
import { mkdtempSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { ConfigError, readConfig } from './config.ts'
import { flag, list, oneOf, optional, ratio, secret, text, url, whole } from './settings.ts'

const settings = {
  name: text('A_NAME'),
  port: whole('A_PORT', { default: 80, min: 1, max: 99 }),
  share: ratio('A_SHARE', { default: 1 }),
  isOn: flag('A_FLAG', { default: false }),
  level: oneOf('A_LEVEL', ['low', 'high'], { default: 'low' }),
  parts: optional(list('A_PARTS')),
  home: optional(url('A_URL', ['http:', 'https:'])),
  key: optional(secret('A_KEY')),
}

function faultsOf(env: Record<string, string>): readonly string[] {
  try {
    readConfig(settings, env)
  } catch (error) {
    assert.ok(error instanceof ConfigError)
    return error.faults
  }
  return assert.fail('no fault was found')
}

test('what is given is read, what is not given has its default', () => {
  const config = readConfig(settings, {
    A_NAME: 'x',
    A_PORT: '7',
    A_FLAG: 'true',
    A_PARTS: 'a, b,,c',
    A_URL: 'https://x/y',
  })
  assert.deepEqual(config, {
    name: 'x',
    port: 7,
    share: 1,
    isOn: true,
    level: 'low',
    parts: ['a', 'b', 'c'],
    home: 'https://x/y',
    key: undefined,
  })
  assert.ok(Object.isFrozen(config))
})

test('all faults are told at once, each with its variable', () => {
  const faults = faultsOf({
    A_PORT: '100',
    A_SHARE: '2',
    A_FLAG: 'yes',
    A_LEVEL: 'middle',
    A_URL: 'ftp://x',
  })
  assert.deepEqual(
    faults.map((fault) => fault.split(' ')[0]),
    ['A_NAME', 'A_PORT', 'A_SHARE', 'A_FLAG', 'A_LEVEL', 'A_URL'],
  )
  assert.match(faults[4] ?? '', /low, high/)
})

test('an empty variable is an unset one', () => {
  assert.equal(readConfig(settings, { A_NAME: 'x', A_PORT: '' }).port, 80)
  assert.deepEqual(faultsOf({ A_NAME: '' }), ['A_NAME must be set'])
})

test('a secret may come from a file, and is in no message', () => {
  const folder = mkdtempSync(join(tmpdir(), 'weir-config-'))
  const path = join(folder, 'key')
  writeFileSync(path, 'hidden\n')
  assert.equal(readConfig(settings, { A_NAME: 'x', A_KEY_FILE: path }).key, 'hidden')
  assert.equal(readConfig(settings, { A_NAME: 'x', A_KEY: 'b', A_KEY_FILE: path }).key, 'b')
  assert.match(faultsOf({ A_NAME: 'x', A_KEY_FILE: join(folder, 'none') })[0] ?? '', /^A_KEY_FILE/)
  const strict = { key: { ...secret('A_KEY'), parse: () => assert.fail('must be longer') } }
  assert.throws(
    () => readConfig(strict, { A_KEY: 'hidden' }),
    (error: Error) => !error.message.includes('hidden'),
  )
})

test('a password in an address is not shown', () => {
  const [fault] = faultsOf({ A_NAME: 'x', A_URL: 'ftp://user:pass@host' })
  assert.ok(fault !== undefined && !fault.includes('pass@'))
})
