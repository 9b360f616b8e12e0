import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { capForTenant } from './cap-for-tenant.ts'
import { type BandCredits, NO_CREDITS, shareBands } from './share-bands.ts'

function takeRounds(queued: readonly number[], rooms: readonly number[]): number[] {
  let credits: BandCredits = NO_CREDITS
  const sums = [0, 0, 0, 0]
  for (const room of rooms) {
    const shared = shareBands(queued, room, credits)
    credits = shared.credits
    for (const [band, count] of shared.take.entries()) sums[band] = (sums[band] as number) + count
  }
  return sums
}

test('full bands share 8:4:2:1, exactly, in one round or in many of one', () => {
  const queued = [1e6, 1e6, 1e6, 1e6]
  assert.deepEqual(takeRounds(queued, [1_500]), [100, 200, 400, 800])
  assert.deepEqual(takeRounds(queued, Array(1_500).fill(1)), [100, 200, 400, 800])
  assert.deepEqual(takeRounds(queued, Array(500).fill(3)), [100, 200, 400, 800])
})

test('what a band cannot use goes to the others by their shares', () => {
  assert.deepEqual(shareBands([50, 0, 0, 0], 40).take, [40, 0, 0, 0])
  assert.deepEqual(shareBands([100, 100, 0, 0], 30).take, [10, 20, 0, 0])
  assert.deepEqual(shareBands([100, 0, 0, 3], 30).take, [27, 0, 0, 3])
  assert.deepEqual(shareBands([1, 1, 1, 1], 100).take, [1, 1, 1, 1])
  assert.deepEqual(shareBands([0, 0, 0, 0], 100).take, [0, 0, 0, 0])
})

test('the lowest band gets its floor however much waits above it', () => {
  const sums = takeRounds([1e6, 0, 0, 1e6], Array(900).fill(1))
  assert.deepEqual(sums, [100, 0, 0, 800])
})

test('a band that was empty has saved nothing up', () => {
  let { credits } = shareBands([0, 1e6, 1e6, 1e6], 1_000)
  assert.equal(credits[0], 0)
  const { take } = shareBands([1e6, 0, 0, 1e6], 9, credits)
  assert.ok((take[0] as number) <= 2)
  ;({ credits } = shareBands([5, 0, 0, 0], 5))
  assert.deepEqual(credits, NO_CREDITS)
})

test('a round never takes more than there is or fits, and never leaves room unused', () => {
  const count = fc.integer({ min: 0, max: 60 })
  const round = fc.tuple(fc.tuple(count, count, count, count), count)
  fc.assert(
    fc.property(fc.array(round, { maxLength: 20 }), (rounds) => {
      let credits: BandCredits = NO_CREDITS
      for (const [queued, room] of rounds) {
        const shared = shareBands(queued, room, credits)
        credits = shared.credits
        assert.ok(
          shared.take.every((taken, band) => taken >= 0 && taken <= (queued[band] as number)),
        )
        const sum = shared.take.reduce((all, taken) => all + taken, 0)
        assert.equal(
          sum,
          Math.min(
            room,
            queued.reduce((all, waiting) => all + waiting, 0),
          ),
        )
        assert.ok(credits.every((credit) => Math.abs(credit) <= 15))
      }
    }),
  )
})

test('a tenant alone may use the whole limit, beside others half of it, never nothing', () => {
  assert.equal(capForTenant(10, 0), 10)
  assert.equal(capForTenant(10, 1), 5)
  assert.equal(capForTenant(10, 50), 5)
  assert.equal(capForTenant(1, 3), 1)
  assert.equal(capForTenant(0, 3), 0)
})
