import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { createTimeIndex } from './time-index.ts'

const records = fc.array(
  fc.record({
    gap: fc.nat(2),
    /** Broker clocks may step back a little. */
    stepMs: fc.integer({ min: -200, max: 3_000 }),
    turns: fc.boolean(),
  }),
  { minLength: 1, maxLength: 600 },
)

test('a refill never starts behind the first record that is young enough', () => {
  fc.assert(
    fc.property(records, fc.nat(700), fc.nat(60_000), (steps, at, backMs) => {
      const index = createTimeIndex()
      const all: { offset: number; timestampMs: number; generation: number }[] = []
      let offset = 0
      let timestampMs = 1_000_000
      let generation = 0
      for (const { gap, stepMs, turns } of steps) {
        offset += gap
        timestampMs += stepMs
        if (turns) generation += 1
        all.push({ offset, timestampMs, generation })
        index.add(offset, timestampMs, generation)
        offset += 1
      }
      const limit = Math.min(at, offset)
      const fromMs = timestampMs - backMs
      const found = index.firstNotOlder(fromMs, limit)
      assert.ok(found.offset <= limit)
      const first = all.find((record) => record.timestampMs >= fromMs && record.offset <= limit)
      if (first !== undefined) assert.ok(found.offset <= first.offset)
      // The generation is the one under which the record there was written.
      const there = all.find((record) => record.offset >= found.offset)
      if (there !== undefined && found.offset >= (all[0]?.offset ?? 0)) {
        assert.equal(found.generation, there.generation)
      }
      const before = all.filter((record) => record.offset <= limit)
      const newest = Math.max(0, ...before.map((record) => record.timestampMs))
      assert.ok(index.timeAt(limit) <= newest)
    }),
  )
})

test('what is forgotten is only what lies before the place to restore from', () => {
  const index = createTimeIndex()
  for (let offset = 0; offset < 5_000; offset += 1) index.add(offset, offset * 2_000, 1)
  const before = index.firstNotOlder(8_000_000, 4_500)
  index.forgetBefore(before.offset)
  assert.deepEqual(index.firstNotOlder(8_000_000, 4_500), before)
})
