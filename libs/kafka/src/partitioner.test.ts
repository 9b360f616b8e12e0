import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { defaultPartitioner } from '../test/client-codec.ts'
import { partitionFor } from './partitioner.ts'

test('a key goes to the partition where every other client puts it', () => {
  fc.assert(
    fc.property(fc.string({ minLength: 1 }), fc.integer({ min: 1, max: 64 }), (key, count) => {
      const theirs = defaultPartitioner({
        topic: 't',
        message: { key: Buffer.from(key) },
        partitionMetadata: Array.from({ length: count }, (_, partitionId) => ({
          partitionId,
          leader: 1,
        })),
      })
      assert.equal(partitionFor(key, count), theirs)
    }),
  )
})

test('known hashes of the Java client', () => {
  // From Kafka's own UtilsTest.
  const known: [string, number][] = [
    ['21', -973932308],
    ['foobar', -790332482],
    ['a-little-bit-long-string', -985981536],
    ['a-little-bit-longer-string', -1486304829],
  ]
  for (const [key, hash] of known) {
    assert.equal(partitionFor(key, 1_000_003), (hash & 0x7fffffff) % 1_000_003)
  }
})
