import assert from 'node:assert/strict'
import test from 'node:test'
import { formatApiKey, hashSecret, newApiKey, parseBearer, verifySecret } from './api-key.ts'

test('a new key is read back from its header', () => {
  const key = newApiKey()
  assert.deepEqual(parseBearer(`Bearer ${formatApiKey(key)}`), key)
})

test('what is no key of ours is none', () => {
  const key = formatApiKey(newApiKey())
  for (const header of [undefined, '', key, `Basic ${key}`, `Bearer ${key} x`, 'Bearer weir_a_b']) {
    assert.equal(parseBearer(header), undefined)
  }
})

test('only the right secret verifies, and none does without a known hash', () => {
  const { secret } = newApiKey()
  assert.equal(verifySecret(secret, hashSecret(secret)), true)
  assert.equal(verifySecret(`${secret}x`, hashSecret(secret)), false)
  assert.equal(verifySecret(secret, undefined), false)
  assert.equal(verifySecret(secret, Buffer.alloc(0)), false)
})
