import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createBell } from './bell.ts'

const LONG_MS = 60_000

test('a ring wakes who listens', async () => {
  const bell = createBell()
  const heard = bell.heard(LONG_MS)
  bell.ring()
  assert.equal(await heard, true)
})

test('a ring while nobody listens is heard by the next who does, and once', async () => {
  const bell = createBell()
  bell.ring()
  bell.ring()
  assert.equal(await bell.heard(LONG_MS), true)
  assert.equal(await bell.heard(0), false)
})

test('without a ring the waiting ends after its time', async () => {
  const bell = createBell()
  assert.equal(await bell.heard(1), false)
  bell.ring()
  assert.equal(await bell.heard(LONG_MS), true)
})

test('a ring that has woken somebody is over', async () => {
  const bell = createBell()
  const heard = bell.heard(LONG_MS)
  bell.ring()
  bell.ring()
  await heard
  assert.equal(await bell.heard(1), false)
})

test('without time to wait it only tells whether it rang', async () => {
  const bell = createBell()
  assert.equal(await bell.heard(0), false)
  bell.ring()
  assert.equal(await bell.heard(0), true)
})
