import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { createOffsetTimes } from './offset-times.ts'

test('the time of a record is right to half the time between two looks', () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 0, max: 40 }), { maxLength: 80 }), (perTick) => {
      const tickMs = 500
      const times = createOffsetTimes()
      const appendedAt: number[] = []
      times.look(0, 0)
      perTick.forEach((count, tick) => {
        for (let one = 0; one < count; one++) {
          appendedAt.push(tick * tickMs + ((one + 0.5) * tickMs) / count)
        }
        times.look((tick + 1) * tickMs, appendedAt.length)
      })
      appendedAt.forEach((atMs, offset) => {
        const found = times.timeOf(offset)
        assert.ok(found !== undefined && Math.abs(found - atMs) <= tickMs / 2, `${found} ${atMs}`)
      })
    }),
  )
})

test('a record from before the first look has no time, until the log itself is asked', () => {
  const times = createOffsetTimes()
  times.look(10_000, 50)
  times.look(10_500, 60)
  assert.equal(times.timeOf(20), undefined)
  times.know(20, 3_000)
  assert.equal(times.timeOf(20), 3_000)
  const between = times.timeOf(40) ?? Number.NaN
  assert.ok(between > 3_000 && between < 10_000)
  assert.equal(times.timeOf(60), undefined)
})

test('it stays small however long nothing is finished, and forgets what is', () => {
  const times = createOffsetTimes()
  for (let tick = 0; tick < 100_000; tick++) times.look(tick * 500, tick * 3)
  assert.ok(times.size <= 256)
  const known = times.timeOf(150_000) ?? Number.NaN
  // Coarser far back: still in its order of magnitude.
  assert.ok(Math.abs(known - 25_000_000) < 1_000_000, `${known}`)
  times.forget(299_000)
  assert.equal(times.timeOf(10), undefined)
  assert.ok(times.timeOf(299_500))
  for (let tick = 0; tick < 1_000; tick++) times.look(60_000_000 + tick * 500, 299_997)
  assert.ok(times.size < 256)
})
