import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Type } from 'typebox'
import { compileContract, describeFaults } from './contract.ts'
import { toJsonSchema } from './schema.ts'

const CANARY = 'canary-7f3a'

function faultsOf(schema: unknown, value: unknown): string {
  const checked = compileContract(schema, toJsonSchema(schema, 'input'))(value)
  assert.ok(!checked.ok)
  return describeFaults(checked.faults)
}

test('faults name the path and the rule, and never the value', () => {
  const rows: [unknown, unknown, string][] = [
    [Type.Object({ a: Type.Number() }), { a: CANARY }, '/a must be number'],
    [Type.Object({ a: Type.Number() }), {}, '/a is missing'],
    [Type.Object({ a: Type.Array(Type.Integer()) }), { a: [1, CANARY] }, '/a/1 must be integer'],
    [Type.Object({}, { additionalProperties: false }), { extra: CANARY }, '/extra is not declared'],
    [Type.String({ maxLength: 3 }), CANARY, 'it must not have more than 3 characters'],
    [Type.String({ pattern: '^x' }), CANARY, 'it must match pattern "^x"'],
    [Type.Number(), CANARY, 'it must be number'],
  ]
  for (const [schema, value, expected] of rows) {
    assert.equal(faultsOf(schema, value), expected)
  }
  const all = [
    Type.Literal('b'),
    Type.Union([Type.Literal('b'), Type.Number()]),
    { enum: ['a', 'b'] },
    { not: { type: 'string' } },
    { anyOf: [{ type: 'number' }, { type: 'null' }] },
    { format: 'email' },
  ]
  for (const schema of all) assert.doesNotMatch(faultsOf(schema, CANARY), new RegExp(CANARY))
})

test('a wrong value of a thousand elements makes a short message', () => {
  const wrong = Array.from({ length: 1_000 }, () => CANARY)
  const message = faultsOf(Type.Array(Type.Number()), wrong)
  assert.equal(message.split(';').length, 5)
})

test('any Standard Schema checks and parses, and its messages are not passed on', () => {
  const schema = {
    '~standard': {
      version: 1 as const,
      vendor: 'some',
      validate: (value: unknown) =>
        typeof value === 'string'
          ? { value: value.length }
          : { issues: [{ message: `got ${JSON.stringify(value)}`, path: ['a', { key: 'b/c' }] }] },
    },
  }
  const contract = compileContract(schema, {})
  assert.deepEqual(contract('four'), { ok: true, value: 4 })
  assert.equal(faultsOf(schema, { a: CANARY }), '/a/b~1c does not fit the contract')
})

test('a contract that waits for something is refused', () => {
  const schema = {
    '~standard': { version: 1 as const, vendor: 'some', validate: async () => ({ value: 1 }) },
  }
  assert.throws(() => compileContract(schema, {})(1), /asynchronous contracts/)
})
