import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import {
  type ClientRecord,
  encodeFetchAnswer,
  encodeRecord,
  fetchResponse,
  RecordBatch,
} from '../../test/client-codec.ts'
import type { OutRecord } from '../record.ts'
import { decodeFetch } from './decode-fetch.ts'
import { BATCH_OVERHEAD, encodeBatch, sizeOfRecord } from './encode-batch.ts'

const bytes = fc.uint8Array({ maxLength: 300 }).map((array) => Buffer.from(array))
// The client itself mixes up headers whose names every object inherits.
const name = fc.string({ minLength: 1, maxLength: 20 }).filter((text) => !(text in {}))
const record = fc.record(
  {
    topic: fc.constant('t'),
    key: fc.oneof(fc.constant(null), bytes),
    value: fc.oneof(fc.constant(null), bytes),
    headers: fc.dictionary(name, fc.string({ maxLength: 60 }), {
      maxKeys: 9,
      noNullPrototype: true,
    }),
    timestamp: fc.integer({ min: 0, max: 4_102_444_800_000 }),
  },
  { noNullPrototype: true },
)

function encodeLog(records: readonly OutRecord[], firstOffset: number): Buffer {
  const size = records.reduce((sum, one) => sum + sizeOfRecord(one), BATCH_OVERHEAD)
  const into = Buffer.alloc(size)
  const end = encodeBatch(into, 0, records, 0)
  into.writeBigInt64BE(BigInt(firstOffset), 0)
  return into.subarray(0, end)
}

const plain = (headers: ClientRecord['headers']) =>
  Object.fromEntries(
    Object.entries(headers).map(([key, value]) => [
      key,
      String(Array.isArray(value) ? value[0] : value),
    ]),
  )

test('what we encode, the client decodes to the same records as we do', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(record, { minLength: 1, maxLength: 20 }),
      fc.integer({ min: 0, max: 2 ** 52 }),
      async (records, firstOffset) => {
        const recordSet = encodeLog(records, firstOffset)
        const answer = encodeFetchAnswer('t', [
          { partition: 3, highWatermark: firstOffset + records.length, recordSet },
        ])
        const ours = decodeFetch(answer, () => firstOffset).partitions[0]
        const theirs = (await fetchResponse.decode(answer)).responses[0]?.partitions[0]
        assert.equal(ours?.nextOffset, firstOffset + records.length)
        assert.deepEqual(
          ours?.records.map(({ offset, timestamp, key, value, headers }) => ({
            offset: String(offset),
            timestamp: String(timestamp),
            key,
            value,
            headers,
          })),
          theirs?.messages.map(({ offset, timestamp, key, value, headers }) => ({
            offset,
            timestamp,
            key,
            value,
            headers: plain(headers),
          })),
        )
        assert.deepEqual(
          ours?.records.map(({ key, value, headers, timestamp }) => ({
            topic: 't',
            key,
            value,
            headers,
            timestamp,
          })),
          records,
        )
      },
    ),
    { numRuns: 200 },
  )
})

test('a compressed batch of the client is read, and earlier records of its batch are left out', async () => {
  const batch = await RecordBatch({
    compression: 1,
    firstOffset: 10,
    firstTimestamp: 1000,
    maxTimestamp: 1002,
    lastOffsetDelta: 2,
    records: [0, 1, 2].map((index) =>
      encodeRecord({
        offsetDelta: index,
        timestampDelta: index,
        key: 'k',
        value: `v${index}`,
        headers: { a: ['first', 'second'] },
      }),
    ),
  })
  const answer = encodeFetchAnswer('t', [
    { partition: 0, highWatermark: 13, recordSet: batch.buffer },
  ])
  const [fetched] = decodeFetch(answer, () => 11).partitions
  assert.deepEqual(
    fetched?.records.map(({ offset, timestamp, value, headers }) => [
      offset,
      timestamp,
      String(value),
      headers,
    ]),
    [
      [11, 1001, 'v1', { a: 'first' }],
      [12, 1002, 'v2', { a: 'first' }],
    ],
  )
  assert.equal(fetched?.nextOffset, 13)
})

test('a header may be named like something that every object has', () => {
  const headers = { constructor: 'a', toString: 'b' } as unknown as Record<string, string>
  const recordSet = encodeLog([{ topic: 't', key: null, value: null, headers }], 0)
  const answer = encodeFetchAnswer('t', [{ partition: 0, highWatermark: 1, recordSet }])
  const [fetched] = decodeFetch(answer, () => 0).partitions
  assert.deepEqual({ ...fetched?.records[0]?.headers }, headers)
})

test('control batches, emptied batches and a cut-off tail move the position without records', () => {
  const control = encodeLog([{ topic: 't', key: 'c', value: 'c' }], 5)
  control.writeInt16BE(0x20 | 0x10, 21)
  const emptied = encodeLog([{ topic: 't', key: null, value: null }], 6).subarray(0, BATCH_OVERHEAD)
  emptied.writeInt32BE(BATCH_OVERHEAD - 12, 8)
  emptied.writeInt32BE(4, 23)
  emptied.writeInt32BE(0, 57)
  const cut = encodeLog([{ topic: 't', key: 'x', value: 'y'.repeat(100) }], 11).subarray(0, 100)
  const answer = encodeFetchAnswer('t', [
    { partition: 0, highWatermark: 12, recordSet: Buffer.concat([control, emptied, cut]) },
  ])
  const [fetched] = decodeFetch(answer, () => 5).partitions
  assert.deepEqual(fetched?.records, [])
  assert.equal(fetched?.nextOffset, 11)
})

test('with append time the batch tells when, whatever its records say', () => {
  const recordSet = encodeLog([{ topic: 't', key: null, value: 'v', timestamp: 5 }], 0)
  recordSet.writeInt16BE(0x08, 21)
  recordSet.writeBigInt64BE(1_700_000_000_123n, 35)
  const answer = encodeFetchAnswer('t', [{ partition: 0, highWatermark: 1, recordSet }])
  assert.equal(decodeFetch(answer, () => 0).partitions[0]?.records[0]?.timestamp, 1_700_000_000_123)
})

test('more records in one answer than a call can take arguments are no problem', () => {
  const records = Array.from({ length: 200_000 }, () => ({ topic: 't', key: null, value: null }))
  const answer = encodeFetchAnswer('t', [
    { partition: 0, highWatermark: records.length, recordSet: encodeLog(records, 0) },
  ])
  assert.equal(decodeFetch(answer, () => 0).partitions[0]?.records.length, records.length)
})

test('an answer of errors only has no records and stays where it was', () => {
  const answer = encodeFetchAnswer('t', [
    { partition: 1, errorCode: 1, highWatermark: -1, recordSet: Buffer.alloc(0) },
  ])
  assert.deepEqual(decodeFetch(answer, () => 42).partitions, [
    {
      topic: 't',
      partition: 1,
      errorCode: 1,
      highWatermark: -1,
      logStartOffset: 0,
      records: [],
      nextOffset: 42,
    },
  ])
})
