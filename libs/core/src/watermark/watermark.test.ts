import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { createWatermark } from './watermark.ts'

/** Steps of a history: begin after a gap of so many offsets, or finish a begun record (by its rank). */
const history = fc.array(
  fc.oneof(
    fc.record({ begin: fc.nat(3) }),
    fc.record({ finish: fc.nat(200) }),
    fc.record({ finish: fc.constant(0) }),
  ),
  { maxLength: 400 },
)

test('the watermark is the lowest unfinished record, whatever the order and the gaps', () => {
  fc.assert(
    fc.property(fc.nat(1000), history, (start, steps) => {
      const watermark = createWatermark(start)
      const begun: number[] = []
      const open = new Set<number>()
      let next = start
      for (const step of steps) {
        if ('begin' in step) {
          const offset = next + step.begin
          watermark.begin(offset)
          begun.push(offset)
          open.add(offset)
          next = offset + 1
        } else if (begun.length > 0) {
          const offset = begun[step.finish % begun.length] as number
          watermark.finish(offset)
          open.delete(offset)
        }
        assert.equal(watermark.offset, open.size === 0 ? next : Math.min(...open))
        assert.equal(watermark.next, next)
        assert.equal(watermark.unfinished, open.size)
      }
      const listed = new Set<number>()
      for (const [first, length] of watermark.finishedBeyond()) {
        for (let offset = first; offset < first + length; offset += 1) listed.add(offset)
      }
      for (let offset = watermark.offset; offset < next; offset += 1) {
        assert.equal(listed.has(offset), !open.has(offset), `offset ${offset}`)
        assert.equal(watermark.isFinished(offset), !open.has(offset))
      }
    }),
  )
})

test('finishing twice, or what never began, changes nothing', () => {
  const watermark = createWatermark(5)
  watermark.begin(5)
  watermark.begin(6)
  watermark.finish(6)
  watermark.finish(6)
  watermark.finish(4)
  watermark.finish(99)
  assert.equal(watermark.unfinished, 1)
  assert.equal(watermark.offset, 5)
})

test('the memory of a long history is bounded by what is unfinished', () => {
  const watermark = createWatermark(0)
  for (let offset = 0; offset < 50_000; offset += 1) {
    watermark.begin(offset)
    if (offset >= 10) watermark.finish(offset - 10)
  }
  assert.equal(watermark.offset, 49_990)
  assert.deepEqual(watermark.finishedBeyond(), [])
})

test('an offset that begins out of order is a broken invariant', () => {
  const watermark = createWatermark(3)
  watermark.begin(4)
  assert.throws(() => watermark.begin(4), /out of order/)
})
