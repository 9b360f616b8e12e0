import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import * as client from '../../test/client-codec.ts'
import { crc32c } from './crc32c.ts'
import { encodeBatch, sizeOfRecord } from './encode-batch.ts'
import { encodeFetch } from './encode-fetch.ts'
import { readInt64, writeInt64 } from './int64.ts'

test('the checksum is the one the client computes', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (array) => {
      const bytes = Buffer.from(array)
      assert.equal(crc32c(bytes, 0, bytes.length), client.crc32c(bytes) >>> 0)
    }),
  )
  assert.equal(crc32c(Buffer.from('123456789'), 0, 9), 0xe3069283)
})

test('a batch carries the checksum of what follows it', () => {
  const into = Buffer.alloc(500)
  const end = encodeBatch(into, 7, [{ topic: 't', key: 'k', value: 'v' }], 1000)
  assert.equal(into.readUInt32BE(7 + 17), client.crc32c(into.subarray(7 + 21, end)) >>> 0)
  assert.equal(into.readInt32BE(7 + 8), end - 7 - 12)
})

test('a record never takes more than was reckoned for it', () => {
  fc.assert(
    fc.property(
      fc.string(),
      fc.string(),
      fc.dictionary(fc.string(), fc.string(), { maxKeys: 4 }),
      fc.integer({ min: 0, max: 2 ** 50 }),
      (key, value, headers, timestamp) => {
        const records = [
          { topic: 't', key: null, value: null, timestamp: 2 ** 50 },
          { topic: 't', key, value, headers, timestamp },
        ]
        const size = records.reduce((sum, record) => sum + sizeOfRecord(record), 61)
        assert.ok(encodeBatch(Buffer.alloc(size), 0, records, 0) <= size)
      },
    ),
  )
})

test('a fetch request is byte for byte the one the client would send', async () => {
  const limits = { maxWaitMs: 500, minBytes: 1, maxBytes: 4096, maxBytesPerPartition: 1024 }
  const ours = encodeFetch(
    [
      { topic: 'a', partition: 0, offset: 5 },
      { topic: 'a', partition: 1, offset: 2 ** 40 },
      { topic: 'bé', partition: 7, offset: 0 },
    ],
    limits,
  )
  const theirs = await client
    .clientFetchRequest({
      replicaId: -1,
      maxWaitTime: 500,
      minBytes: 1,
      maxBytes: 4096,
      isolationLevel: 0,
      rackId: '',
      topics: [
        {
          topic: 'a',
          partitions: [
            { partition: 0, fetchOffset: '5', maxBytes: 1024 },
            { partition: 1, fetchOffset: String(2 ** 40), maxBytes: 1024 },
          ],
        },
        { topic: 'bé', partitions: [{ partition: 7, fetchOffset: '0', maxBytes: 1024 }] },
      ],
    })
    .encode()
  assert.deepEqual(ours.buffer, Buffer.from(theirs.buffer))
})

test('64-bit numbers survive as far as doubles are exact', () => {
  const bytes = Buffer.alloc(8)
  for (const value of [0, -1, -2, 1, 2 ** 31, 2 ** 32, 2 ** 53 - 1, -(2 ** 40)]) {
    writeInt64(bytes, value, 0)
    assert.equal(readInt64(bytes, 0), value)
    assert.equal(bytes.readBigInt64BE(0), BigInt(value))
  }
})
