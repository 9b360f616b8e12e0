import assert from 'node:assert/strict'
import { test } from 'node:test'
import { medianOf, quantilesOf } from './quantiles.ts'

test('a quantile is a value that was measured, at its nearest rank', () => {
  const values = Array.from({ length: 200 }, (_, i) => 200 - i)
  assert.deepEqual(quantilesOf(values), { count: 200, p50: 100, p95: 190, p99: 198, max: 200 })
  assert.deepEqual(quantilesOf([7]), { count: 1, p50: 7, p95: 7, p99: 7, max: 7 })
})

test('the median of an even number of values lies between the two in the middle', () => {
  assert.equal(medianOf([4, 1, 3]), 3)
  assert.equal(medianOf([4, 1, 3, 2]), 2.5)
})
