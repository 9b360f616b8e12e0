import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createPace } from './pace.ts'

test('records that come one by one never wait, even three in a row for each of fifty jobs a second', () => {
  const pace = createPace()
  for (let job = 0; job < 500; job++) {
    for (const atMs of [0, 4, 8]) assert.equal(pace.lingerAfter(1, job * 20 + atMs), 0)
  }
})

test('in a stream small answers linger, and go on doing so at the pace that lingering gives', () => {
  const pace = createPace()
  for (let atMs = 0; atMs < 200; atMs += 2) pace.lingerAfter(1, atMs)
  for (let atMs = 200; atMs < 3_200; atMs += 6) assert.ok(pace.lingerAfter(3, atMs) > 0)
})

test('after a large answer, an empty one or a pause the next request goes out at once', () => {
  const pace = createPace()
  assert.equal(pace.lingerAfter(1_000, 0), 0)
  assert.ok(pace.lingerAfter(10, 5) > 0)
  assert.equal(pace.lingerAfter(0, 10), 0)
  assert.equal(pace.lingerAfter(5, 1_000), 0)
})
