import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { GateRecord, Lane, StageRecord } from '@weir/contracts'
import { createGateKeeper } from './gate-keeper.ts'
import type { Level } from './meter.ts'

const stage = { ref: 'a@1', state: 'active', inFlightMax: 1_000 } as unknown as StageRecord
const crew = {
  ...{ instances: 1, concurrency: 16, movedAtMs: Number.NEGATIVE_INFINITY, held: undefined },
}
const level = (lane: Lane, more: Partial<Level> = {}): Level => ({
  ...{ stage: 'a@1', lane, partitions: 4, waitingPartitions: 4, lag: 0, waiting: 0, finished: 0 },
  ...{ lagMs: 0, oldestAgeMs: 0, drainRate: 0 },
  ...more,
})
const published = (more: Partial<GateRecord>) =>
  [{ stage: 'a@1', lane: 'normal', drainRate: 50, reason: '', ...more }] as GateRecord[]

test('lanes share their instances: both together have one decision and one rate', () => {
  const keeper = createGateKeeper([], 0, 60_000)
  const rates: number[] = []
  for (let tick = 0; tick <= 12; tick += 1) {
    // The low lane is behind; what it finishes and what the other one does is the stage's rate.
    const lanes = [
      level('high', { finished: tick * 30 }),
      level('normal', { finished: tick * 10, lag: 300, waiting: 290, oldestAgeMs: 5_000 }),
    ]
    const gate = keeper.decide([stage], lanes, () => crew, tick * 500).get('a@1')
    rates.push(gate?.inFlightLimit ?? -1)
    if (tick === 12) assert.equal(gate?.state, 'throttled')
  }
  // 80 a second for a second beside the ten that are at work; 20 a second would have been half late.
  assert.equal(rates.at(-1), 90)
})

test('no limit is below what the instances work on at once, nor below a record for each partition', () => {
  const keeper = createGateKeeper([], 0, 60_000)
  const floorOf = (concurrency: number) =>
    keeper.decide([stage], [level('normal')], () => ({ ...crew, concurrency }), 0).get('a@1')?.floor
  assert.equal(floorOf(16), 16)
  assert.equal(floorOf(0), 4)
  assert.equal(floorOf(5_000), 1_000)
})

test('a leader goes on from what the one before has decided', () => {
  const late = published({ state: 'closed', inFlightLimit: 0, reason: 'stalled' })
  const keeper = createGateKeeper(late, 0, 60_000)
  const still = level('normal', { lag: 20, waiting: 20, finished: 7, oldestAgeMs: 90_000 })
  for (const atMs of [0, 500, 5_000]) {
    assert.equal(keeper.decide([stage], [still], () => crew, atMs).get('a@1')?.state, 'closed')
  }
  const moved = { ...still, finished: 8 }
  assert.equal(keeper.decide([stage], [moved], () => crew, 5_500).get('a@1')?.state, 'throttled')
})

test('a leader goes on from how many instances the one before has wanted', () => {
  const keeper = createGateKeeper(
    published({ state: 'open', inFlightLimit: 1_000, instancesWanted: 5 }),
    0,
    60_000,
  )
  const scaled = { ...stage, replicas: { min: 1, max: 8 } }
  const busy = level('normal', { finished: 100 })
  const wantedOf = (one: StageRecord) =>
    keeper.decide([one], [busy], () => crew, 0).get('a@1')?.instancesWanted
  assert.equal(wantedOf(scaled), 5)
  assert.equal(wantedOf(stage), undefined)
})

test('a stage that cannot be measured has no new decision, and one that is gone is forgotten', () => {
  const keeper = createGateKeeper([], 0, 60_000)
  assert.equal(keeper.decide([stage], [], () => crew, 0).size, 0)
  assert.equal(keeper.decide([], [level('normal')], () => crew, 0).size, 0)
})
