import assert from 'node:assert/strict'
import { test } from 'node:test'
import { believeGate, GATE_AGE_AT_START_MS } from './believe-gate.ts'
import { createDrainRate, lagToMs } from './drain-rate.ts'
import { type FlowLevel, findBottleneck } from './find-bottleneck.ts'

test('the rate follows what is finished while records wait, up and down', () => {
  const rate = createDrainRate()
  let finished = 0
  let atMs = 0
  const run = (seconds: number, perSecond: number, isBusy: boolean) => {
    for (let tick = 0; tick < seconds * 2; tick++) {
      atMs += 500
      finished += perSecond / 2
      rate.sample(atMs, finished, isBusy)
    }
  }
  run(30, 100, true)
  assert.ok(Math.abs(rate.perSecond - 100) < 1)
  run(30, 20, true)
  assert.ok(Math.abs(rate.perSecond - 20) < 1)
  // Little to do is no sign of being slow.
  run(60, 2, false)
  assert.ok(Math.abs(rate.perSecond - 20) < 1)
  run(60, 50, false)
  assert.ok(Math.abs(rate.perSecond - 50) < 1)
})

test('what a stage that has just begun to be busy finishes counts in full', () => {
  const rate = createDrainRate()
  rate.sample(0, 0, false)
  rate.sample(500, 1, false)
  rate.sample(1_000, 21, true)
  assert.equal(rate.perSecond, 40)
})

test('lag becomes time by the rate, and by its age where there is no rate', () => {
  assert.equal(lagToMs(0, 0, 0), 0)
  assert.equal(lagToMs(50, 10, 0), 5_000)
  assert.equal(lagToMs(50, 0, 1_234), 1_234)
  assert.equal(lagToMs(1_000_000, 0.0001, 0), 86_400_000)
})

test('stale is not open: a gate is unknown after two seconds, a closed one after a minute', () => {
  assert.equal(believeGate('open', 1_999), 'open')
  assert.equal(believeGate('open', 2_000), 'unknown')
  assert.equal(believeGate('throttled', 3_000), 'unknown')
  assert.equal(believeGate('closed', 60_000), 'closed')
  assert.equal(believeGate('closed', 60_001), 'unknown')
  assert.equal(believeGate('open', GATE_AGE_AT_START_MS), 'unknown')
})

const level = (stage: string, more: Partial<FlowLevel> = {}): FlowLevel => ({
  stage,
  state: 'open',
  lag: 0,
  lagMs: 0,
  drainRate: 10,
  inFlight: 0,
  inFlightLimit: 100,
  reason: null,
  ...more,
})

test('the bottleneck is a closed gate with work behind it, else the longest input, else a full limit', () => {
  const closed = level('c@1', { state: 'closed', lag: 3, inFlightLimit: 0, reason: 'deactivated' })
  const slow = level('s@1', { lag: 50, lagMs: 5_000 })
  const full = level('f@1', { inFlight: 100 })
  assert.deepEqual(findBottleneck([full, slow, closed], 9), {
    stage: 'c@1',
    why: 'its gate is closed (deactivated), 3 records behind it',
  })
  assert.deepEqual(findBottleneck([full, slow], 9), {
    stage: 's@1',
    why: '50 records wait, 5.0 s of work at 10.0/s',
  })
  assert.deepEqual(findBottleneck([full], 9), {
    stage: 'f@1',
    why: 'its limit of 100 in flight is used up',
  })
  assert.equal(findBottleneck([full], 0), undefined)
  assert.equal(findBottleneck([level('a@1', { lag: 5, lagMs: 900 })], 9), undefined)
  assert.equal(findBottleneck([{ ...closed, lag: 0 }], 9), undefined)
})

test('who is not shown the load is told of closed gates only, and only while jobs of theirs wait', () => {
  const hidden = { lag: null, lagMs: null, drainRate: null, inFlight: null }
  const closed = level('c@1', { ...hidden, state: 'closed', reason: 'deactivated' })
  assert.deepEqual(findBottleneck([level('a@1', hidden), closed], 1), {
    stage: 'c@1',
    why: 'its gate is closed (deactivated)',
  })
  assert.equal(findBottleneck([closed], 0), undefined)
})
