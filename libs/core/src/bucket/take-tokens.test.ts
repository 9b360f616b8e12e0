import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { takeTokens } from './take-tokens.ts'

const limit = { ratePerSecond: 10, burst: 5 }

test('a fresh bucket gives its burst at once, then one token per interval', () => {
  let state = 0
  const left: number[] = []
  for (let i = 0; i < 5; i++) {
    const answer = takeTokens(state, limit, 1_000)
    assert.ok(answer.isAllowed)
    left.push(answer.left)
    state = answer.state
  }
  assert.deepEqual(left, [4, 3, 2, 1, 0])
  const refused = takeTokens(state, limit, 1_000)
  assert.ok(!refused.isAllowed)
  assert.ok(Math.abs(refused.retryAfterMs - 100) < 1e-6)
  assert.equal(takeTokens(state, limit, 1_099).isAllowed, false)
  assert.equal(takeTokens(state, limit, 1_100).isAllowed, true)
})

test('a refusal takes nothing, and what it says to wait is enough', () => {
  let state = 0
  for (let i = 0; i < 5; i++) state = takeTokens(state, limit, 0).state
  const refused = takeTokens(state, limit, 0, 3)
  assert.ok(!refused.isAllowed)
  assert.equal(refused.state, state)
  assert.equal(takeTokens(state, limit, refused.retryAfterMs, 3).isAllowed, true)
})

test('a pause fills the bucket no further than its burst', () => {
  const { state } = takeTokens(0, limit, 0, 5)
  assert.equal(takeTokens(state, limit, 1e9, 5).isAllowed, true)
  assert.equal(takeTokens(state, limit, 1e9, 6).isAllowed, false)
})

test('more than the burst is never there', () => {
  const answer = takeTokens(0, limit, 0, 6)
  assert.ok(!answer.isAllowed)
  assert.equal(answer.retryAfterMs, Number.POSITIVE_INFINITY)
})

test('a clock that steps back refuses for a while and gives nothing away', () => {
  const { state } = takeTokens(0, limit, 10_000, 5)
  assert.equal(takeTokens(state, limit, 9_000).isAllowed, false)
})

test('no window ever sees more than rate times its length plus the burst', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 1_000 }),
      fc.integer({ min: 1, max: 50 }),
      fc.array(fc.integer({ min: 0, max: 200 }), { minLength: 1, maxLength: 100 }),
      (ratePerSecond, burst, gaps) => {
        let state = 0
        let now = 0
        const taken: number[] = []
        for (const gap of gaps) {
          now += gap
          const answer = takeTokens(state, { ratePerSecond, burst }, now)
          state = answer.state
          if (answer.isAllowed) taken.push(now)
        }
        for (const [first, from] of taken.entries()) {
          for (const [offset, to] of taken.slice(first).entries()) {
            const allowed = burst + ((to - from) * ratePerSecond) / 1_000
            assert.ok(offset + 1 <= allowed + 1e-3)
          }
        }
      },
    ),
  )
})
