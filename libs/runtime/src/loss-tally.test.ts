import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createLossTally } from './loss-tally.ts'

const at = (ms: number) => new Date(ms).toISOString()

test('losses are told of once, with their number, reasons and times', () => {
  let now = 1_000
  const tally = createLossTally(() => now)
  assert.equal(tally.take(), undefined)
  tally.note('queue_full', 2)
  now = 3_000
  tally.note('export_failed', 5)
  tally.note('queue_full', 1)
  assert.deepEqual(tally.take(), {
    lost: 8,
    reasons: { queue_full: 3, export_failed: 5 },
    from: at(1_000),
    to: at(3_000),
  })
  assert.equal(tally.take(), undefined)
})

test('what is lost right after a telling waits for the next one, and none of it is left out', () => {
  let now = 0
  const tally = createLossTally(() => now)
  let told = 0
  let tellings = 0
  for (; now < 60_000; now += 100) {
    tally.note('queue_full', 1)
    const loss = tally.take()
    if (loss === undefined) continue
    told += loss.lost
    tellings += 1
  }
  told += tally.take(true)?.lost ?? 0
  assert.equal(told, 600)
  assert.equal(tellings, 6)
})
