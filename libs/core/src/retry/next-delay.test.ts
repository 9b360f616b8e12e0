import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { RetryPolicy } from '@weir/contracts'
import fc from 'fast-check'
import { Random } from '../run/test-support/random.ts'
import { nextDelayMs } from './next-delay.ts'

const BACKOFFS = ['exponential', 'linear', 'constant'] as const
const JITTERS = ['none', 'full', 'equal', 'decorrelated'] as const
const policy = (backoff: RetryPolicy['backoff'], jitter: RetryPolicy['jitter']): RetryPolicy => ({
  attempts: 5,
  baseMs: 1_000,
  maxMs: 30_000,
  backoff,
  jitter,
})

/** The formulas, written out: delay without jitter for attempts 1 to 6. */
const PLAIN = {
  exponential: [1_000, 2_000, 4_000, 8_000, 16_000, 30_000],
  linear: [1_000, 2_000, 3_000, 4_000, 5_000, 6_000],
  constant: [1_000, 1_000, 1_000, 1_000, 1_000, 1_000],
}

for (const backoff of BACKOFFS) {
  test(`${backoff} delays follow their formula up to the cap`, () => {
    const delays = PLAIN[backoff].map((_, i) => nextDelayMs(policy(backoff, 'none'), i + 1, 0.7))
    assert.deepEqual(delays, PLAIN[backoff])
  })

  for (const jitter of ['full', 'equal'] as const) {
    test(`1,000 ${backoff} delays with ${jitter} jitter keep their bounds and their mean`, () => {
      const random = new Random(7)
      for (const [i, plain] of PLAIN[backoff].entries()) {
        const low = jitter === 'full' ? 0 : plain / 2
        const samples = Array.from({ length: 1_000 }, () =>
          nextDelayMs(policy(backoff, jitter), i + 1, random.next()),
        )
        assert.ok(Math.min(...samples) >= low && Math.max(...samples) <= plain)
        const mean = samples.reduce((sum, sample) => sum + sample, 0) / samples.length
        // Four standard errors of a uniform distribution's mean.
        const tolerance = (4 * (plain - low)) / Math.sqrt(12 * samples.length)
        assert.ok(Math.abs(mean - (low + plain) / 2) < tolerance, `mean ${mean}`)
      }
    })
  }
}

test('1,000 decorrelated delays lie between the base and three times the one before', () => {
  const random = new Random(9)
  for (const previous of [1_000, 2_500, 9_000]) {
    const samples = Array.from({ length: 1_000 }, () =>
      nextDelayMs(policy('exponential', 'decorrelated'), 2, random.next(), previous),
    )
    assert.ok(Math.min(...samples) >= 1_000 && Math.max(...samples) <= previous * 3)
    const mean = samples.reduce((sum, sample) => sum + sample, 0) / samples.length
    const tolerance = (4 * (previous * 3 - 1_000)) / Math.sqrt(12 * samples.length)
    assert.ok(Math.abs(mean - (1_000 + previous * 3) / 2) < tolerance, `mean ${mean}`)
  }
})

test('no delay of any policy is negative, above its cap or broken', () => {
  const ms = fc.integer({ min: 1, max: 3_600_000 })
  fc.assert(
    fc.property(
      fc.record({
        attempts: fc.constant(20),
        baseMs: ms,
        maxMs: ms,
        backoff: fc.constantFrom(...BACKOFFS),
        jitter: fc.constantFrom(...JITTERS),
      }),
      fc.integer({ min: 1, max: 10_000 }),
      fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
      fc.option(ms, { nil: undefined }),
      (given, attempt, random, previous) => {
        const delay = nextDelayMs(given, attempt, random, previous)
        assert.ok(Number.isSafeInteger(delay) && delay >= 0 && delay <= given.maxMs, `${delay}`)
      },
    ),
  )
})
