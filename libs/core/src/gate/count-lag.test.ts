import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { encodeMetadata } from '../watermark/metadata.ts'
import { countLag } from './count-lag.ts'

const committed = (
  watermark: number,
  finished: readonly (readonly [number, number])[],
  started = 0,
) =>
  encodeMetadata(watermark, {
    openFrom: watermark,
    restoreFrom: watermark,
    generation: 1,
    finished,
    started,
  })

test('finished records beyond the watermark are no lag, whatever their pattern', () => {
  fc.assert(
    fc.property(
      fc.array(fc.boolean(), { maxLength: 60 }),
      fc.integer({ min: 0, max: 50 }),
      (isFinished, before) => {
        const end = before + isFinished.length
        const firstOpen = isFinished.indexOf(false)
        const watermark = before + (firstOpen === -1 ? isFinished.length : firstOpen)
        const stretches: [number, number][] = []
        for (let offset = watermark; offset < end; offset++) {
          if (!isFinished[offset - before]) continue
          const last = stretches.at(-1)
          if (last !== undefined && last[0] + last[1] === offset) last[1] += 1
          else stretches.push([offset, 1])
        }
        const open = isFinished.filter((one) => !one).length
        const found = countLag({ end, watermark, metadata: committed(watermark, stretches) })
        assert.deepEqual(found, {
          lag: open,
          waiting: open,
          finished: end - open,
          oldest: open === 0 ? undefined : watermark,
        })
      },
    ),
  )
})

test('a commit that is younger than the look at the end of the log makes no negative lag', () => {
  const metadata = committed(12, [[14, 3]])
  assert.deepEqual(countLag({ end: 10, watermark: 12, metadata }), {
    lag: 0,
    waiting: 0,
    finished: 10,
    oldest: undefined,
  })
  assert.equal(countLag({ end: 15, watermark: 12, metadata }).lag, 2)
})

test('without a commit everything waits, and a format that is not known counts as none', () => {
  assert.equal(countLag({ end: 7, watermark: null, metadata: null }).lag, 7)
  assert.equal(countLag({ end: 7, watermark: 5, metadata: '9;1,2,3' }).lag, 2)
})

test('an owner that does not say what it has taken up is not suspected of letting records wait', () => {
  const metadata = encodeMetadata(12, {
    openFrom: 12,
    restoreFrom: 12,
    generation: 1,
    finished: [],
  })
  assert.deepEqual(
    [countLag({ end: 20, watermark: 12, metadata })].map(({ lag, waiting }) => [lag, waiting]),
    [[8, 0]],
  )
})

test('what was taken up does not wait, as far as it was known when it was committed', () => {
  const metadata = committed(12, [[14, 3]], 2)
  const { lag, waiting } = countLag({ end: 20, watermark: 12, metadata })
  assert.deepEqual([lag, waiting], [5, 3])
  assert.equal(countLag({ end: 13, watermark: 12, metadata }).waiting, 0)
})
