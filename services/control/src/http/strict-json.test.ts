import assert from 'node:assert/strict'
import test from 'node:test'
import { WeirError } from '@weir/contracts'
import fc from 'fast-check'
import { parseStrictJson } from './strict-json.ts'

const parse = (text: string | Buffer) => parseStrictJson(Buffer.from(text as string))

function refuses(text: string | Buffer, detail: RegExp) {
  assert.throws(
    () => parse(text),
    (error) =>
      WeirError.is(error) && error.code === 'invalid_request' && detail.test(error.message),
  )
}

test('any JSON document is read as JSON.parse reads it', () => {
  fc.assert(
    fc.property(fc.json({ maxDepth: 6 }), (text) => {
      if (text.includes('__proto__') || text.includes('\\u0000')) return
      assert.deepEqual(parse(text), JSON.parse(text))
    }),
  )
})

test('colons and quotes inside of strings are not taken for members', () => {
  assert.deepEqual(parse('{"a\\"b:":":{\\"x\\":1}","c\\\\":1}'), { 'a"b:': ':{"x":1}', 'c\\': 1 })
})

test('an object with the same key twice is refused, however the key is written', () => {
  refuses('{"a":1,"a":2}', /same key twice/)
  refuses('[{"x":{"a":1,"\\u0061":1}}]', /same key twice/)
})

test('keys that reach a prototype are refused, also nested and escaped', () => {
  refuses('{"__proto__":{"admin":true}}', /__proto__/)
  refuses('{"a":[{"__pr\\u006fto__":1}]}', /__proto__/)
  refuses('{"a":{"constructor":{"prototype":{}}}}', /constructor\.prototype/)
  assert.deepEqual(parse('{"constructor":"Renzo Piano"}'), { constructor: 'Renzo Piano' })
})

test('NUL characters, overflowing numbers and bytes that are no UTF-8 are refused', () => {
  refuses('{"a":"b\\u0000"}', /NUL/)
  refuses('{"a\\u0000":1}', /NUL/)
  refuses('[1e999]', /too large/)
  refuses(Buffer.from([0x22, 0xff, 0x22]), /UTF-8/)
})

test('a document may be 32 deep and not deeper', () => {
  const nested = (depth: number) => `${'['.repeat(depth)}${']'.repeat(depth)}`
  assert.ok(parse(nested(32)))
  refuses(nested(33), /deeper than 32/)
  refuses(nested(100_000), /deeper than 32|not JSON/)
})

test('a document with more keys than the limit is refused', () => {
  const members = Array.from({ length: 100_001 }, (_, index) => `"k${index}":0`)
  refuses(`{${members.join(',')}}`, /more than 100000 keys/)
})

test('what is no JSON is refused', () => {
  for (const text of ['', '{', '{"a":1}x', 'undefined', '\ufeff{}', "{'a':1}"]) {
    refuses(text, /not JSON/)
  }
})
