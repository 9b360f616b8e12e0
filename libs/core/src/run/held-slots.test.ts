import assert from 'node:assert/strict'
import { test } from 'node:test'
import { heldSlots } from './held-slots.ts'
import { compile } from './test-support/compile.ts'
import { AT, tell } from './test-support/tell.ts'

test('a chain holds one slot, at the step whose turn it is', () => {
  const story = tell(compile({ a: {}, b: { after: ['a'] } }))
  assert.deepEqual(heldSlots(story.state, story.plan), { 'a@1': 1 })
  story.report('a')
  assert.deepEqual(heldSlots(story.state, story.plan), { 'b@1': 1 })
  story.report('b')
  assert.deepEqual(heldSlots(story.state, story.plan), {})
})

test('a join holds none while it waits, and one as soon as its policy is met', () => {
  const sources = { a: {}, b: {}, c: {} }
  const after = ['a', 'b', 'c']
  const all = tell(compile({ ...sources, d: { after } }))
  all.report('a')
  all.report('b')
  assert.deepEqual(heldSlots(all.state, all.plan), { 'c@1': 1 })
  const quorum = tell(compile({ ...sources, d: { after, join: { policy: 'quorum', n: 2 } } }))
  quorum.report('a')
  quorum.report('b', { status: 'skipped' })
  assert.deepEqual(heldSlots(quorum.state, quorum.plan), { 'c@1': 1 })
  quorum.report('c')
  assert.deepEqual(heldSlots(quorum.state, quorum.plan), { 'd@1': 1 })
})

test('a fan-out holds a slot for each element, its gather for a quorum of items', () => {
  const story = tell(
    compile({
      a: {},
      b: { after: [{ step: 'a', each: true }] },
      c: { after: [{ step: 'b', gather: true }], join: { policy: 'quorum', n: 2 } },
    }),
  )
  story.report('a', { fanOut: { marker: 'items', count: 4 } })
  assert.deepEqual(heldSlots(story.state, story.plan), { 'b@1': 4 })
  story.report('b', { item: '3' })
  story.report('b', { item: '0' })
  assert.deepEqual(heldSlots(story.state, story.plan), { 'b@1': 2, 'c@1': 1 })
})

test('a task that waits in a delay topic holds none, one that is parked does', () => {
  const story = tell(compile({ a: {}, b: {} }))
  story.report('a', { status: 'retry', retryAt: Date.parse(AT) + 60_000 })
  story.report('b', { status: 'retry', retryAt: Date.parse(AT) + 1_000 })
  assert.deepEqual(heldSlots(story.state, story.plan), { 'b@1': 1 })
  story.report('a', { status: 'started', attempt: 2 })
  assert.deepEqual(heldSlots(story.state, story.plan), { 'a@1': 1, 'b@1': 1 })
})

test('steps on one stage add up, and an ended run holds nothing', () => {
  const story = tell(compile({ a: { stage: 'x@1' } as object, b: { stage: 'x@1' } as object }))
  assert.deepEqual(heldSlots(story.state, story.plan), { 'x@1': 2 })
  story.event({ type: 'job.cancelled' })
  assert.deepEqual(heldSlots(story.state, story.plan), {})
})
