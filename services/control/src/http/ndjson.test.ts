import assert from 'node:assert/strict'
import test from 'node:test'
import { WeirError } from '@weir/contracts'
import { parseNdjson } from './ndjson.ts'

test('each line is a job; empty lines, CRLF and a missing last newline are fine', () => {
  assert.deepEqual(parseNdjson(Buffer.from('{"input":1}\r\n\n{"input":2}\r\n\r\n{"input":3}')), {
    jobs: [{ input: 1 }, { input: 2 }, { input: 3 }],
  })
  assert.deepEqual(parseNdjson(Buffer.from('')), { jobs: [] })
})

test('a line that is no JSON is named by its number', () => {
  assert.throws(
    () => parseNdjson(Buffer.from('{"input":1}\n\n{"a":1,"a":2}\n')),
    (error) => WeirError.is(error) && /^Line 3: .*twice/.test(error.message),
  )
})

test('more lines than a batch may have are refused', () => {
  assert.throws(
    () => parseNdjson(Buffer.from('1\n'.repeat(10_001))),
    (error) => WeirError.is(error) && error.code === 'payload_too_large',
  )
})
