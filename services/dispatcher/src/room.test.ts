import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Plan, PlanStep, RunChange, StageRef } from '@weir/contracts'
import fc from 'fast-check'
import { createRoom } from './room.ts'

const stepOn = (stage: string): PlanStep => ({ name: stage, stage: stage as StageRef }) as PlanStep
const planOn = (...stages: string[]): Plan => ({ steps: stages.map(stepOn) }) as unknown as Plan

test('a plan has as much room as its fullest stage', () => {
  const room = createRoom((stage) => (stage === 'narrow@1' ? 2 : 10))
  const plan = planOn('wide@1', 'narrow@1')
  assert.equal(room.jobsFor(plan), 2)
  room.take(plan, 'a', 1)
  assert.equal(room.jobsFor(plan), 1)
  assert.equal(room.jobsFor(planOn('wide@1')), 9)
})

test('a stage that is not active gets nothing', () => {
  const room = createRoom(() => 0)
  assert.equal(room.jobsFor(planOn('asleep@1')), 0)
})

test('slots at a stage are free once the run holds none there', () => {
  const room = createRoom(() => 1)
  const plan = planOn('first@1', 'second@1')
  room.take(plan, 'a', 1)
  room.apply({ job: 'a', run: 1, seq: 4, ended: false, held: { 'second@1': 1 } })
  assert.equal(room.held('first@1'), 0)
  assert.equal(room.held('second@1'), 1)
  room.apply({ job: 'a', run: 1, seq: 6, ended: true })
  assert.equal(room.held('second@1'), 0)
  assert.equal(room.runs, 0)
})

test('lost, doubled and late announcements never leave a slot taken or counted below zero', () => {
  const change = fc.record({
    job: fc.constantFrom('a', 'b', 'c'),
    seq: fc.integer({ min: 1, max: 9 }),
    held: fc.integer({ min: 0, max: 50 }),
  })
  fc.assert(
    fc.property(fc.array(change, { maxLength: 60 }), (changes) => {
      const room = createRoom(() => 1_000)
      const plan = planOn('one@1')
      for (const job of ['a', 'b', 'c']) room.take(plan, job, 1)
      for (const { job, seq, held } of changes) {
        const announced: RunChange = { job, run: 1, seq, ended: false, held: { 'one@1': held } }
        room.apply(announced)
        assert.ok(room.held('one@1') >= 0)
      }
      // What counts is the highest number of each run, in whatever order the announcements came.
      let expected = 0
      for (const job of ['a', 'b', 'c']) {
        let latest = { seq: 0, held: 1 }
        for (const each of changes) {
          if (each.job === job && each.seq > latest.seq) latest = each
        }
        expected += latest.held
      }
      assert.equal(room.held('one@1'), expected)
      for (const job of ['a', 'b', 'c']) room.apply({ job, run: 1, seq: 10, ended: true })
      assert.equal(room.held('one@1'), 0)
    }),
  )
})

test('runs that are no longer in flight hold nothing after a reconciliation', () => {
  const room = createRoom(() => 10)
  room.take(planOn('one@1'), 'a', 1)
  room.take(planOn('one@1'), 'b', 1)
  room.keepOnly(new Set(['b/1']))
  assert.equal(room.held('one@1'), 1)
})
