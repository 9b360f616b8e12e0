import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { createIdMemory, DONE } from './id-memory.ts'

test('an id is known for at least the horizon and forgotten after twice of it', () => {
  const horizonMs = 1_000
  fc.assert(
    fc.property(
      fc.array(fc.record({ id: fc.nat(5), stepMs: fc.nat(700) }), { maxLength: 60 }),
      (steps) => {
        const memory = createIdMemory(horizonMs)
        const notedAt = new Map<string, number>()
        let nowMs = 0
        for (const { id, stepMs } of steps) {
          nowMs += stepMs
          memory.age(nowMs)
          for (const [known, at] of notedAt) {
            if (nowMs - at < horizonMs) assert.equal(memory.attemptOf(known), DONE)
            if (nowMs - at > 3 * horizonMs) assert.equal(memory.attemptOf(known), 0)
          }
          memory.note(String(id), DONE)
          notedAt.set(String(id), nowMs)
        }
      },
    ),
  )
})

test('the highest attempt of an id counts', () => {
  const memory = createIdMemory(1_000)
  memory.age(0)
  memory.note('a', 2)
  memory.note('a', 1)
  assert.equal(memory.attemptOf('a'), 2)
  memory.age(1_500)
  memory.note('a', 1)
  assert.equal(memory.attemptOf('a'), 2)
  memory.note('a', DONE)
  assert.equal(memory.attemptOf('a'), DONE)
  assert.equal(memory.attemptOf('b'), 0)
})

test('after a long silence everything is forgotten at once', () => {
  const memory = createIdMemory(1_000)
  memory.age(0)
  memory.note('a', DONE)
  memory.age(5_000)
  assert.equal(memory.attemptOf('a'), 0)
  assert.equal(memory.size, 0)
})
