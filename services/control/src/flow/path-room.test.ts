import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Plan } from '@weir/contracts'
import { createPathRoom } from './path-room.ts'

const plan = { steps: [{ stage: 'a@1' }, { stage: 'b@1' }, { stage: 'a@1' }] } as unknown as Plan

function start(limits: Readonly<Record<string, number>>) {
  const world = { nowMs: 0 }
  const queue = { queued: 0, oldestAgeMs: 0 }
  let told: { held: Record<string, number>; queue: typeof queue } | undefined
  const room = createPathRoom(
    { limitOf: (stage) => limits[stage] },
    { get: () => told },
    () => world.nowMs,
  )
  const tell = (held: Record<string, number>, atMs: number) => {
    world.nowMs = atMs
    told = { held, queue }
  }
  return { room, tell, world }
}

test('the first stage of the path without room is named, and what is not measured has room', () => {
  const { room, tell } = start({ 'a@1': 10, 'b@1': 5 })
  tell({ 'a@1': 4, 'b@1': 3 }, 0)
  assert.equal(room.lackFor(plan, 2), undefined)
  assert.equal(room.lackFor(plan, 3), 'b@1')
  assert.equal(room.lackFor(plan, 7), 'a@1')
  assert.equal(start({}).room.lackFor(plan, 1_000), undefined)
})

test('what was let in since the figures counts on top, until they have it', () => {
  const { room, tell, world } = start({ 'a@1': 10, 'b@1': 10 })
  tell({}, 0)
  room.admitted(plan, 6)
  world.nowMs = 700
  room.admitted(plan, 3)
  assert.equal(room.lackFor(plan, 1), undefined)
  assert.equal(room.lackFor(plan, 2), 'a@1')
  // The six are among what is held now; the three were still queued when that was counted.
  tell({ 'a@1': 6, 'b@1': 6 }, 800)
  assert.equal(room.lackFor(plan, 1), undefined)
  assert.equal(room.lackFor(plan, 2), 'a@1')
  tell({ 'a@1': 0, 'b@1': 1 }, 2_000)
  assert.equal(room.lackFor(plan, 9), undefined)
  assert.equal(room.lackFor(plan, 10), 'b@1')
})
