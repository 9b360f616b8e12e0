import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Plan } from '@weir/contracts'
import { createPathRoom } from './path-room.ts'

const plan = { steps: [{ stage: 'a@1' }, { stage: 'b@1' }, { stage: 'a@1' }] } as unknown as Plan

function start(limits: Readonly<Record<string, number>>, rate = 0) {
  const world = { nowMs: 0, held: undefined as Record<string, number> | undefined }
  const room = createPathRoom(
    { limitOf: (stage) => limits[stage], rateOf: () => rate },
    { get: () => world.held && { held: world.held, queue: { queued: 0, oldestAgeMs: 0 } } },
    () => world.nowMs,
  )
  return { world, take: (jobs: number) => room.take(plan, jobs) }
}

test('the first stage of the path without room is named, and what is not measured has room', () => {
  const { world, take } = start({ 'a@1': 10, 'b@1': 5 })
  world.held = { 'a@1': 4, 'b@1': 3 }
  assert.equal(take(3), 'b@1')
  assert.equal(take(7), 'a@1')
  assert.equal(take(2), undefined)
  assert.equal(start({}).take(1_000), undefined)
})

test('what was given counts until the dispatcher can have told of it, and no longer', () => {
  const { world, take } = start({ 'a@1': 10, 'b@1': 10 })
  assert.equal(take(6), undefined)
  world.nowMs = 1_000
  assert.equal(take(5), 'a@1')
  assert.equal(take(4), undefined)
  world.nowMs = 1_251
  assert.equal(take(7), 'a@1')
  assert.equal(take(6), undefined)
  assert.equal(take(1), 'a@1')
})

test('what a stage can have done meanwhile is not in its way any more', () => {
  const { world, take } = start({ 'a@1': 10, 'b@1': 10 }, 20)
  let refused = 0
  // Half of what the stage can do, for a minute, with nothing held whenever that is told.
  world.held = {}
  for (let job = 0; job < 600; job += 1) {
    world.nowMs = job * 100
    if (take(1) !== undefined) refused += 1
  }
  assert.equal(refused, 0)
})

test('what is more than the whole limit goes alone, and into a closed gate nothing goes', () => {
  const { world, take } = start({ 'a@1': 10, 'b@1': 10 })
  assert.equal(take(50), undefined)
  assert.equal(take(1), 'a@1')
  world.nowMs = 2_000
  world.held = { 'a@1': 1 }
  assert.equal(take(50), 'a@1')
  assert.equal(start({ 'a@1': 0 }).take(1), 'a@1')
})
