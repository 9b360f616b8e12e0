import assert from 'node:assert/strict'
import test from 'node:test'
import { toRefusal } from './refusal.ts'

const refuse = (
  quota: Parameters<typeof toRefusal>[0]['quota'],
  retryAfterMs: number | null,
  since = 0,
) => toRefusal({ outcome: 'refused', quota, retryAfterMs }, since, () => 0.5)

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
