import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { createLogHistogram, EMPTY_LATENCY, mergeLatencies, quantileOf } from './log-histogram.ts'

const duration = fc.oneof(
  fc.double({ min: 0, max: 5, noNaN: true }),
  fc.double({ min: 0, max: 50_000, noNaN: true }),
  fc.constantFrom(0, 0.01, 1, 86_400_000),
)
const times = fc.array(duration.map((ms) => Math.round(ms * 100) / 100))

const filled = (list: readonly number[]) => {
  const histogram = createLogHistogram()
  for (const ms of list) histogram.add(ms)
  return histogram.toRecord()
}

test('quantiles of what several instances counted are within two percent of the true ones', () => {
  fc.assert(
    fc.property(fc.array(times, { minLength: 1, maxLength: 4 }), (instances) => {
      const merged = mergeLatencies(instances.map(filled))
      const all = instances.flat().sort((a, b) => a - b)
      assert.equal(merged.count, all.length)
      if (all.length === 0) {
        assert.equal(quantileOf(merged, 0.5), undefined)
        return
      }
      assert.equal(merged.minMs, all[0])
      assert.equal(merged.maxMs, all.at(-1))
      for (const share of [0.5, 0.95, 0.99, 1]) {
        const truth = all[Math.max(0, Math.ceil(share * all.length) - 1)] as number
        const found = quantileOf(merged, share) as number
        assert.ok(Math.abs(found - truth) <= truth * 0.0201 + 0.011, `${share}: ${found} ${truth}`)
      }
    }),
  )
})

test('a record of a million durations over five orders of magnitude stays small', () => {
  const histogram = createLogHistogram()
  for (let one = 0; one < 1_000_000; one++) histogram.add(0.1 * 1.0000116 ** one)
  const record = histogram.toRecord()
  assert.equal(record.count, 1_000_000)
  const bytes = JSON.stringify(record).length
  assert.ok(bytes < 4_096, `${bytes} bytes`)
})

test('nothing is merged to nothing', () => {
  assert.deepEqual(mergeLatencies([]), EMPTY_LATENCY)
  assert.deepEqual(mergeLatencies([EMPTY_LATENCY, filled([])]), EMPTY_LATENCY)
})
