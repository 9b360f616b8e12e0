import assert from 'node:assert/strict'
import { test } from 'node:test'
import { findMismatch } from './find-mismatch.ts'

const object = (properties: Record<string, unknown>, required = Object.keys(properties)) => ({
  type: 'object',
  properties,
  required,
})
const text = { type: 'string' }
const number = { type: 'number' }

test('a required member must be offered, with a type that overlaps', () => {
  assert.equal(findMismatch(object({ a: text, b: number }), object({ a: text })), undefined)
  assert.equal(findMismatch(object({ a: { type: 'integer' } }), object({ a: number })), undefined)
  assert.equal(findMismatch(object({ a: text }, []), object({ a: text })), undefined)
  assert.match(findMismatch(object({ b: text }), object({ a: text })) ?? '', /\/a is required/)
  assert.match(findMismatch(object({ a: text }), object({ a: number })) ?? '', /\/a is string/)
  assert.match(findMismatch(text, object({})) ?? '', /string at the source/)
  assert.match(
    findMismatch(object({ a: object({ b: text }) }), object({ a: object({ b: number }) })) ?? '',
    /\/a\/b/,
  )
})

test('members that nobody needs do not count', () => {
  assert.equal(findMismatch(object({ a: text }, []), object({ a: number }, [])), undefined)
  const closed = { ...object({ a: text }), additionalProperties: false }
  assert.equal(findMismatch(object({ a: text, b: text }, ['a']), closed), undefined)
  assert.match(findMismatch(object({ a: text, b: text }), closed) ?? '', /refused by the target/)
})

test('an object that says nothing of its members passes', () => {
  assert.equal(findMismatch({ type: 'object' }, object({ a: text })), undefined)
  const open = { ...object({ b: text }), additionalProperties: true }
  assert.equal(findMismatch(open, object({ a: text })), undefined)
})

test('arrays are compared by their items, unions by any pair, literals by their values', () => {
  const array = (items: unknown) => ({ type: 'array', items })
  assert.match(findMismatch(array(text), array(number)) ?? '', /\/\*/)
  assert.equal(findMismatch({ anyOf: [text, number] }, number), undefined)
  assert.match(findMismatch({ anyOf: [text, { type: 'null' }] }, number) ?? '', /at the source/)
  assert.equal(findMismatch(number, { type: ['number', 'null'] }), undefined)
  assert.match(findMismatch({ const: 'a' }, { enum: ['b', 'c'] }) ?? '', /no value/)
})

test('what is not understood passes', () => {
  for (const schema of [undefined, true, {}, { $ref: '#/x' }, { allOf: [text] }, { not: text }]) {
    assert.equal(findMismatch(schema, number), undefined)
    assert.equal(findMismatch(number, schema), undefined)
  }
})

test('a schema of exploding unions is left after a bounded number of nodes', () => {
  let schema: unknown = text
  for (let level = 0; level < 18; level++) schema = { anyOf: [schema, schema, schema] }
  const before = process.hrtime.bigint()
  findMismatch(schema, schema)
  assert.ok(process.hrtime.bigint() - before < 1_000_000_000n)
})
