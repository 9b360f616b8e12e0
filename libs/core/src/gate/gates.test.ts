import assert from 'node:assert/strict'
import { test } from 'node:test'
import { GATE_BEAT_KEY, type GateRecord, gateKey, type Lane } from '@weir/contracts'
import fc from 'fast-check'
import { believeLimit } from './believe-gate.ts'
import { createGates } from './gates.ts'

function start() {
  const world = { nowMs: 0 }
  const gates = createGates(() => world.nowMs)
  const tell = (change: Partial<GateRecord> = {}, isNew = true) => {
    const lane: Lane = change.lane ?? 'normal'
    const record = {
      ...{ v: 1, stage: 'a@1', lane, state: 'open', inFlightLimit: 100, floor: 8, leader: 5 },
      ...change,
    }
    return gates.take(gateKey(record.stage, lane), JSON.stringify(record), isNew)
  }
  const beat = (leader = 5) =>
    gates.take(GATE_BEAT_KEY, JSON.stringify({ v: 1, beat: true, leader }), true)
  const limitAt = (nowMs: number) => {
    world.nowMs = nowMs
    return gates.limitOf('a@1')
  }
  return { gates, tell, beat, limitAt, world }
}

test('a limit holds while it is confirmed, and falls to the floor ten seconds after the last word', () => {
  const { tell, beat, limitAt, world } = start()
  tell()
  assert.equal(limitAt(9_999), 100)
  assert.equal(limitAt(10_000), 8)
  beat()
  assert.equal(limitAt(19_999), 100)
  world.nowMs = 60_000
  assert.equal(limitAt(60_000), 8)
})

test('a closed gate stays closed for a minute without a word, and opens to the floor then', () => {
  const { tell, limitAt } = start()
  tell({ state: 'closed', inFlightLimit: 0 })
  assert.equal(limitAt(60_000), 0)
  assert.equal(limitAt(60_001), 8)
})

test('what is read at the start counts as two seconds old, and a closed gate is closed all the same', () => {
  const { tell, limitAt } = start()
  tell({ state: 'closed', inFlightLimit: 0 }, false)
  assert.equal(limitAt(0), 0)
  tell({ inFlightLimit: 50 }, false)
  assert.equal(limitAt(7_999), 50)
  assert.equal(limitAt(8_000), 8)
})

test('the lane that lets in the least counts; a gate that is taken down counts no more', () => {
  const { gates, tell, limitAt } = start()
  assert.equal(limitAt(0), undefined)
  tell({ lane: 'high', inFlightLimit: 30 })
  tell()
  assert.equal(limitAt(0), 30)
  gates.take('a@1/high', null, true)
  assert.equal(limitAt(0), 100)
  gates.take('a@1/normal', null, true)
  assert.equal(limitAt(0), undefined)
})

test('what an older leader still writes opens nothing', () => {
  const { tell, beat, limitAt } = start()
  tell({ state: 'closed', inFlightLimit: 0, leader: 6 })
  tell({ leader: 5 })
  beat(5)
  assert.equal(limitAt(1_000), 0)
})

test('stale is not open: without a word no limit ever rises, save for a closed gate to the floor', () => {
  fc.assert(
    fc.property(
      fc.constantFrom('open', 'throttled', 'closed'),
      fc.nat(1_000),
      fc.integer({ min: 1, max: 1_000 }),
      fc.array(fc.nat(120_000), { maxLength: 20 }),
      (state, limit, floor, ages) => {
        const record = { state, floor, inFlightLimit: state === 'closed' ? 0 : limit } as const
        const limits = ages.toSorted((a, b) => a - b).map((ageMs) => believeLimit(record, ageMs))
        for (const [at, now] of limits.entries()) {
          const before = limits[at - 1] ?? record.inFlightLimit
          if (now > before) assert.ok(state === 'closed' && now === floor)
        }
      },
    ),
  )
})
