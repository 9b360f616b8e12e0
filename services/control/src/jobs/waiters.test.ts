import assert from 'node:assert/strict'
import test from 'node:test'
import { createWaiters } from './waiters.ts'

const never = new AbortController().signal

test('a waiter looks again as soon as its job is woken, and no other job', async () => {
  const waiters = createWaiters()
  let ended = false
  let looks = 0
  const waiting = waiters.until('a', performance.now() + 60_000, never, async () => {
    looks++
    return ended ? 'ended' : undefined
  })
  await Promise.resolve()
  waiters.wake('b')
  ended = true
  waiters.wake('a')
  assert.equal(await waiting, 'ended')
  assert.equal(looks, 2)
  assert.equal(waiters.size(), 0)
})

test('a wake during a look is not lost', async () => {
  const waiters = createWaiters()
  let looks = 0
  const found = await waiters.until('a', performance.now() + 60_000, never, async () => {
    looks++
    if (looks === 1) waiters.wake('a')
    return looks === 2 ? 'second' : undefined
  })
  assert.equal(found, 'second')
})

test('a lost hint is made up for within about a second', async () => {
  const waiters = createWaiters()
  let looks = 0
  const start = performance.now()
  await waiters.until('a', start + 60_000, never, async () => (++looks === 2 ? true : undefined))
  assert.ok(performance.now() - start < 1_500)
})

test('a first look that may wait comes with the first change', async () => {
  const waiters = createWaiters()
  let looks = 0
  const look = async () => ++looks
  const start = performance.now()
  const waiting = waiters.until('a', start + 60_000, never, look, 50_000)
  await new Promise(setImmediate)
  assert.equal(looks, 0)
  waiters.wake('a')
  assert.equal(await waiting, 1)
  await waiters.until('a', start + 60_000, never, look, 20)
  assert.ok(performance.now() - start < 10_000)
})

test('waiting ends with its time, or with the connection', async () => {
  const waiters = createWaiters()
  const look = async () => undefined
  assert.equal(await waiters.until('a', performance.now() + 20, never, look), undefined)
  const gone = new AbortController()
  const waiting = waiters.until('a', performance.now() + 60_000, gone.signal, look)
  gone.abort()
  assert.equal(await waiting, undefined)
  assert.equal(waiters.size(), 0)
})
