import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Plan } from '@weir/contracts'
import type { QueueHead } from '@weir/postgres'
import { CLAIM_MAX, pickJobs } from './pick-jobs.ts'
import type { Room } from './room.ts'

const head = (planId: string, band: number): QueueHead =>
  ({
    planId,
    band,
    tenant: 't',
    pipeline: 'p',
    virtualFinish: 0,
    weight: 1,
    queuedAt: 0,
  }) as QueueHead
const plans = new Map(['full', 'free'].map((id) => [id, { id, steps: [] } as unknown as Plan]))
const room = { jobsFor: (plan: Plan) => (plan.id === 'full' ? 0 : 1_000) } as unknown as Room

test('a plan without room is left out, so it does not block the others', () => {
  const { picks } = pickJobs([head('full', 1), head('free', 1)], plans, room)
  assert.deepEqual(
    picks.map((pick) => pick.planId),
    ['free'],
  )
})

test('waiting bands share a claim 8:4:2:1, upper bands more', () => {
  const all = [0, 1, 2, 3].map((band) => head('free', band))
  const { bandLimits } = pickJobs(all, plans, room)
  const [low, normal, high, system] = bandLimits
  assert.ok(Math.abs(system / low - 8) < 0.5 && Math.abs(high / low - 4) < 0.3)
  assert.ok(Math.abs(normal / low - 2) < 0.2)
  assert.ok(low + normal + high + system <= CLAIM_MAX)
})

test('a band that waits alone gets the whole claim', () => {
  assert.deepEqual(pickJobs([head('free', 0)], plans, room).bandLimits, [CLAIM_MAX, 0, 0, 0])
})
