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
  return { state, cache: createKeyCache(find, () => state.nowMs) }
}

test('requests at the same time and shortly after share one look-up', async () => {
  const { cache, state } = cacheOf(() => stored)
  await Promise.all([cache.verify(given), cache.verify(given), cache.verify(given)])
  assert.equal((await cache.verify(given))?.tenantName, 'acme')
  assert.equal(state.reads, 1)
})

test('a revoked key stops working within 30 s, and at once where it was revoked', async () => {
  let key = stored
  const { cache, state } = cacheOf(() => key)
  assert.ok(await cache.verify(given))
  key = { ...stored, revokedAt: new Date(0) }
  assert.ok(await cache.verify(given))
  state.nowMs += 30_000
  assert.equal(await cache.verify(given), undefined)
  key = stored
  cache.forget(stored.id)
  assert.ok(await cache.verify(given))
})

test('a key expires at its time though it is kept', async () => {
  const { cache, state } = cacheOf(() => ({ ...stored, expiresAt: new Date(1_000_500) }))
  assert.ok(await cache.verify(given))
  state.nowMs += 500
  assert.equal(await cache.verify(given), undefined)
})

test('unknown ids and wrong secrets are refused, and unknown ids are not kept', async () => {
  const { cache, state } = cacheOf(() => undefined)
  assert.equal(await cache.verify(given), undefined)
  assert.equal(await cache.verify(given), undefined)
  assert.equal(state.reads, 2)
  const known = cacheOf(() => stored)
  assert.equal(await known.cache.verify({ ...given, secret: newApiKey().secret }), undefined)
})
