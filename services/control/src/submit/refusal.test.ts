import assert from 'node:assert/strict'
import test from 'node:test'
import { toNoRoom, toRefusal } from './refusal.ts'

const refuse = (
  quota: Parameters<typeof toRefusal>[0]['quota'],
  retryAfterMs: number | null,
  since = 0,
  pressure?: Parameters<typeof toRefusal>[2],
) => toRefusal({ outcome: 'refused', quota, retryAfterMs }, since, pressure, () => 0.5)

test('the rate says when its tokens are there, rounded up, never zero', () => {
  assert.equal(refuse('submitRatePerSecond', 3).retryAfterS, 1)
  assert.equal(refuse('submitRatePerSecond', 2_000).retryAfterS, 3)
  assert.equal(refuse('submitRatePerSecond', 10_000_000).retryAfterS, 60)
  assert.equal(refuse('submitRatePerSecond', 3).code, 'rate_limited')
})

test('a full queue is waited for as long as it has been full', () => {
  assert.equal(refuse('maxQueuedJobs', null, 50).retryAfterS, 2)
  assert.equal(refuse('maxQueuedJobs', null, 10_000).retryAfterS, 11)
  assert.equal(refuse('maxQueuedJobs', null, Number.POSITIVE_INFINITY).retryAfterS, 33)
})

test('every 429 says how long to wait and who is the cause', () => {
  for (const quota of ['submitRatePerSecond', 'maxQueuedJobs', 'maxStoredBytes'] as const) {
    const refusal = refuse(quota, null)
    assert.ok(Number.isInteger(refusal.retryAfterS) && Number(refusal.retryAfterS) >= 1)
    assert.deepEqual(refusal.members, { cause: 'tenant', quota })
  }
  assert.equal(refuse('maxPayloadBytes', null).code, 'payload_too_large')
})

const shut = { stage: 'slow@1', state: 'closed', reason: 'late', lagMs: 40_000 } as const

test('a queue that a stage keeps full is not the tenant’s doing, and the stage is named', () => {
  const refusal = refuse('maxQueuedJobs', null, 0, shut)
  assert.deepEqual([refusal.code, refusal.retryAfterS], ['backpressure', 22])
  assert.match(refusal.message, /slow@1 lets nothing in \(late\)/)
  assert.deepEqual(refusal.members, { cause: 'platform', quota: 'maxQueuedJobs', stage: 'slow@1' })
  // Nobody knows when a stage goes on that stands still: as long as it has lasted.
  const still = { ...shut, reason: 'stalled', lagMs: null }
  assert.equal(refuse('maxQueuedJobs', null, 10_000, still).retryAfterS, 11)
  const less = { ...shut, state: 'throttled' } as const
  assert.equal(refuse('maxQueuedJobs', null, 0, less).retryAfterS, 2)
  assert.equal(refuse('submitRatePerSecond', 3, 0, shut).code, 'rate_limited')
})

test('a pipeline that does not queue says which stage has no room', () => {
  const full = toNoRoom('busy@1', 0, undefined, () => 0.5)
  assert.deepEqual([full.code, full.retryAfterS], ['backpressure', 2])
  assert.deepEqual(full.members, { cause: 'platform', stage: 'busy@1' })
  assert.deepEqual(toNoRoom('busy@1', 0, shut).members, { cause: 'platform', stage: 'slow@1' })
})
