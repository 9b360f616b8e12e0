import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { GateRecord, Plan } from '@weir/contracts'
import type { Gate } from '@weir/core'
import { findPressure } from './path-pressure.ts'

const plan = { steps: [{ stage: 'a@1' }, { stage: 'b@1' }, { stage: 'c@1' }] } as unknown as Plan
const gate = (stage: string, state: Gate['state'], more: Partial<GateRecord> = {}): Gate => ({
  record: { stage, lagMs: 0, drainRate: 10, reason: 'late', ...more } as GateRecord,
  ageMs: 0,
  state,
})
const find = (...gates: Gate[]) => findPressure(plan, { all: () => gates })

test('a closed gate holds up more than a throttled one, and the one furthest behind the most', () => {
  const throttled = gate('a@1', 'throttled', { lagMs: 90_000 })
  const closed = gate('b@1', 'closed', { lagMs: 2_000 })
  const later = gate('c@1', 'closed', { lagMs: 3_000 })
  assert.equal(find(throttled)?.stage, 'a@1')
  assert.equal(find(throttled, closed)?.stage, 'b@1')
  assert.deepEqual(find(throttled, closed, later), {
    ...{ stage: 'c@1', state: 'closed', reason: 'late', lagMs: 3_000 },
  })
})

test('stages elsewhere, open gates and gates that nobody confirms hold nothing up', () => {
  const gates = [gate('z@1', 'closed'), gate('a@1', 'open'), gate('b@1', 'unknown')]
  assert.equal(find(...gates), undefined)
})

test('nobody knows how long a stage takes that stands still', () => {
  const still = gate('a@1', 'closed', { reason: 'stalled', lagMs: 5_000 })
  assert.equal(find(still)?.lagMs, null)
  assert.equal(find(gate('a@1', 'closed', { drainRate: 0, lagMs: 5_000 }))?.lagMs, null)
})
