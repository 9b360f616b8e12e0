import assert from 'node:assert/strict'
import { test } from 'node:test'
import { limits } from '@weir/contracts'
import fc from 'fast-check'
import { UNFINISHED_MAX } from '../partition/partition.ts'
import { decodeMetadata, encodeMetadata } from './metadata.ts'
import { createWatermark } from './watermark.ts'

const stretches = (max: number, lengthMax: number) =>
  fc.array(fc.tuple(fc.integer({ min: 1, max: 50 }), fc.integer({ min: 1, max: lengthMax })), {
    maxLength: max,
  })

test('what is written into the commit metadata is read back', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1_000_000, max: 2 ** 48 }),
      fc.nat(500_000),
      fc.nat(500_000),
      fc.nat(1_000_000),
      stretches(UNFINISHED_MAX, 1_000_000),
      fc.nat(UNFINISHED_MAX),
      (watermark, back, further, generation, list, started) => {
        let end = watermark
        const finished = list.map(([gap, length]): [number, number] => {
          const first = end + gap
          end = first + length
          return [first, length]
        })
        const openFrom = watermark - back
        const restoreFrom = openFrom - further
        const metadata = { openFrom, restoreFrom, generation, finished, started }
        assert.deepEqual(decodeMetadata(watermark, encodeMetadata(watermark, metadata)), metadata)
      },
    ),
  )
})

test('the metadata fits the broker with as many unfinished records as a partition may hold', () => {
  fc.assert(
    fc.property(
      fc.array(fc.integer({ min: 1, max: 60_000_000 }), {
        minLength: UNFINISHED_MAX,
        maxLength: UNFINISHED_MAX,
      }),
      (lengths) => {
        // Every unfinished record followed by a long finished stretch: the most there can be to list.
        let end = 2 ** 45
        const finished = lengths.map((length): [number, number] => {
          const first = end + 1
          end = first + length
          return [first, length]
        })
        const text = encodeMetadata(2 ** 45, {
          openFrom: 2 ** 44,
          restoreFrom: 2 ** 43,
          generation: 2 ** 31,
          finished,
          started: UNFINISHED_MAX,
        })
        assert.ok(text.length <= limits.commitMetadataBytes, `${text.length} bytes`)
      },
    ),
  )
})

test('a watermark with every other record unfinished lists them within the limit', () => {
  const watermark = createWatermark(0)
  for (let offset = 0; offset < 2 * UNFINISHED_MAX; offset += 1) watermark.begin(offset)
  for (let offset = 1; offset < 2 * UNFINISHED_MAX; offset += 2) watermark.finish(offset)
  const finished = watermark.finishedBeyond()
  assert.equal(finished.length, UNFINISHED_MAX)
  const rest = { openFrom: 0, restoreFrom: 0, generation: 1, started: UNFINISHED_MAX }
  const text = encodeMetadata(0, { ...rest, finished })
  assert.ok(text.length <= limits.commitMetadataBytes)
})

test('metadata of an unknown format or none at all is as good as no metadata', () => {
  for (const text of ['', 'x', '1', '1;', '1;1,2', '1;!,1,1', '9;1,1,1']) {
    assert.equal(decodeMetadata(10, text), undefined, JSON.stringify(text))
  }
})

test('format 1 is read as it was written when it was introduced, and with what was added since', () => {
  const first = {
    openFrom: 990,
    restoreFrom: 940,
    generation: 7,
    finished: [
      [1002, 5],
      [1010, 1],
    ],
  }
  assert.deepEqual(decodeMetadata(1000, '1;a,1e,7,2,5,3,1'), first)
  assert.deepEqual(decodeMetadata(1000, '1;a,1e,7,2,5,3,1;12'), { ...first, started: 38 })
  // What reads the first form alone looks no further than the second semicolon.
  assert.equal(encodeMetadata(1000, { ...first, started: 38 } as never), '1;a,1e,7,2,5,3,1;12')
})
