import assert from 'node:assert/strict'
import test from 'node:test'
import type { FoundKey } from '@weir/postgres'
import { hashSecret, newApiKey } from './api-key.ts'
import { createKeyCache } from './key-cache.ts'

const given = newApiKey()
const stored: FoundKey = {
  id: '0192f3a0-0000-7000-8000-000000000001',
  tenant: '0192f3a0-0000-7000-8000-000000000002',
  tenantName: 'acme',
  suspended: false,
  name: 'ci',
  secretHash: hashSecret(given.secret),
  role: 'admin',
  scopes: [],
  expiresAt: null,
  revokedAt: null,
}

function cacheOf(key: () => FoundKey | undefined) {
  const state = { reads: 0, nowMs: 1_000_000 }
  const find = async () => {
    state.reads++
    return key()
  }
  const cache = createKeyCache(find, () => state.nowMs)
  /** Why the key is refused; null where it is good, undefined where nobody knows it. */
  const refusal = async (key = given) => (await cache.verify(key))?.refusal
  return { state, cache, refusal }
}

test('requests at the same time and shortly after share one look-up', async () => {
  const { cache, state } = cacheOf(() => stored)
  await Promise.all([cache.verify(given), cache.verify(given), cache.verify(given)])
  assert.equal((await cache.verify(given))?.found.tenantName, 'acme')
  assert.equal(state.reads, 1)
})

test('a revoked key stops working within 30 s, and at once where it was revoked', async () => {
  let key = stored
  const { cache, state, refusal } = cacheOf(() => key)
  assert.equal(await refusal(), null)
  key = { ...stored, revokedAt: new Date(0) }
  assert.equal(await refusal(), null)
  state.nowMs += 30_000
  assert.equal(await refusal(), 'revoked')
  key = stored
  cache.forget(stored.id)
  assert.equal(await refusal(), null)
})

test('a key expires at its time though it is kept', async () => {
  const { state, refusal } = cacheOf(() => ({ ...stored, expiresAt: new Date(1_000_500) }))
  assert.equal(await refusal(), null)
  state.nowMs += 500
  assert.equal(await refusal(), 'expired')
})

test('unknown ids and wrong secrets are refused, and unknown ids are not kept', async () => {
  const { state, refusal } = cacheOf(() => undefined)
  assert.equal(await refusal(), undefined)
  assert.equal(await refusal(), undefined)
  assert.equal(state.reads, 2)
  const wrong = { ...given, secret: newApiKey().secret }
  assert.equal(await cacheOf(() => stored).refusal(wrong), 'wrong_secret')
  const revoked = cacheOf(() => ({ ...stored, revokedAt: new Date(0) }))
  assert.equal(await revoked.refusal(wrong), 'wrong_secret')
})
