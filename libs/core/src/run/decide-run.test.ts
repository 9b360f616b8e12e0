import assert from 'node:assert/strict'
import { test } from 'node:test'
import { decideRun, needsFence, terminalEvent } from './decide-run.ts'
import { compile } from './test-support/compile.ts'
import { AT, tell } from './test-support/tell.ts'

const error = { code: 'broken', message: 'It broke.', class: 'permanent' } as const
const any = { join: { policy: 'any' } } as const

test('a chain is over with its last report, and needs no fence', () => {
  const story = tell(compile({ a: {}, b: { after: ['a'] } }))
  assert.equal(decideRun(story.state, story.plan), null)
  story.report('b')
  assert.equal(decideRun(story.state, story.plan), null)
  story.report('a')
  assert.deepEqual(decideRun(story.state, story.plan), {
    status: 'completed',
    error: null,
    superseded: [],
  })
  assert.equal(needsFence(story.state, story.plan), false)
})

test('a branch that a fired join does without is superseded, and the run is fenced', () => {
  const story = tell(
    compile({ a: {}, b: {}, c: { after: ['b'] }, d: { after: ['a', 'c'], ...any } }),
  )
  story.report('a')
  // Edges: 0 and 1 bring the input, 2 is b to c, 3 is a to d, 4 is c to d.
  story.report('d', { took: [[3, '', 'x']], missing: [[4, '']] })
  assert.deepEqual(decideRun(story.state, story.plan)?.superseded, ['b', 'c'])
  assert.equal(needsFence(story.state, story.plan), true)
})

test('case 14: an item that a join has in hand must report, the rest of its fan-out need not', () => {
  const story = tell(
    compile({
      a: {},
      b: { after: [{ step: 'a', each: true }] },
      c: { after: [{ step: 'b', gather: true }, 'a'], ...any },
    }),
  )
  story.report('a', { fanOut: { marker: 'items', count: 3 } })
  story.report('c', {
    took: [[2, '1', 'x']],
    missing: [
      [2, '0'],
      [2, '2'],
    ],
  })
  assert.equal(decideRun(story.state, story.plan), null)
  story.report('b', { item: '1' })
  assert.deepEqual(decideRun(story.state, story.plan)?.superseded, ['b'])
})

test('an item in hand of a gather edge that is missing as a whole must report all the same', () => {
  const story = tell(
    compile({
      a: {},
      s: {},
      b: { after: [{ step: 's', each: true }] },
      c: { after: ['a', { step: 'b', gather: true }], ...any },
    }),
  )
  const gather = story.plan.edges.findIndex(({ kind }) => kind === 'gather')
  story.report('a')
  story.report('c', { took: [[gather, '1', 'x']], missing: [[gather, '*']] })
  assert.equal(decideRun(story.state, story.plan), null)
  story.report('s', { fanOut: { marker: 'items', count: 2 } })
  assert.equal(decideRun(story.state, story.plan), null)
  story.report('b', { item: '1' })
  assert.deepEqual(decideRun(story.state, story.plan)?.superseded, ['b'])
})

test('the source of a fan-out must report once something inside has', () => {
  const steps = {
    a: {},
    s: {},
    b: { after: [{ step: 's', each: true }] },
    c: { after: ['a', { step: 'b', gather: true }], ...any },
  }
  const story = tell(compile(steps))
  const gather = story.plan.edges.findIndex(({ kind }) => kind === 'gather')
  story.report('a')
  story.report('c', { missing: [[gather, '*']] })
  assert.deepEqual(decideRun(story.state, story.plan)?.superseded, ['s', 'b'])
  story.report('b', { item: '0' })
  assert.equal(decideRun(story.state, story.plan), null)
})

test('case 11: a quorum that failed early does without the branch that never reported', () => {
  const after = ['a', 'b', 'c', 'd']
  const join = { policy: 'quorum', n: 3 } as const
  const story = tell(compile({ a: {}, b: {}, c: {}, d: {}, e: { after, join } }))
  story.report('a')
  story.report('b', { status: 'failed', error })
  story.report('c', { status: 'failed', error })
  const unsatisfied = { ...error, code: 'join_unsatisfied' }
  const edge = story.plan.edges.findIndex(({ from, to }) => from === 'd' && to === 'e')
  story.report('e', { status: 'failed', error: unsatisfied, missing: [[edge, '']] })
  const decision = decideRun(story.state, story.plan)
  assert.equal(decision?.status, 'failed')
  assert.deepEqual(decision?.superseded, ['d'])
  assert.equal(decision?.error?.step, 'b')
})

test('case 12: ok, then cancel by a re-run: the first report stands, the step is diverged', () => {
  const story = tell(compile({ a: {}, b: { after: ['a'] } }))
  story.report('a', { digest: 'x' })
  assert.equal(story.report('a', { status: 'cancelled', reason: 'changed' }).diverged, true)
  assert.equal(story.state.steps[0]?.diverged, true)
  story.report('b', { status: 'skipped' })
  assert.equal(decideRun(story.state, story.plan)?.status, 'completed')
})

test('case 16: a cancel that comes after the end changes nothing', () => {
  const story = tell(compile({ a: {}, b: {}, c: { after: ['a', 'b'], ...any } }))
  story.report('a')
  story.report('c', { missing: [[3, '']] })
  const decision = decideRun(story.state, story.plan)
  assert.equal(decision?.status, 'completed')
  if (decision) story.event(terminalEvent(story.state, decision, AT))
  assert.equal(story.report('b', { status: 'cancelled' }).ignored, 'ended')
  assert.equal(decideRun(story.state, story.plan), null)
  assert.equal(story.state.status, 'completed')
})

test('the first verdict stands: a failure after a requested cancel does not make it failed', () => {
  const story = tell(compile({ a: {}, b: {} }, 'fail_fast'))
  story.event({ type: 'job.cancel_requested', data: { reason: 'by hand' } })
  story.report('a', { status: 'failed', error })
  assert.equal(decideRun(story.state, story.plan)?.status, 'cancelled')
  const other = tell(compile({ a: {}, b: {} }, 'fail_fast'))
  other.report('a', { status: 'failed', error, attempt: 3 })
  other.event({ type: 'job.cancel_requested' })
  other.report('b', { status: 'cancelled' })
  const decision = decideRun(other.state, other.plan)
  assert.deepEqual(decision, {
    status: 'failed',
    error: { ...error, step: 'a', attempts: 3 },
    superseded: [],
  })
})

test('a run that the platform ends for a reason of its own fails with that reason', () => {
  const story = tell(compile({ a: {} }))
  const late = { code: 'deadline', message: 'Too late.', class: 'deadline' } as const
  story.event({ type: 'job.cancel_requested', data: { error: late } })
  assert.deepEqual(decideRun(story.state, story.plan)?.error, { ...late, step: '', attempts: 1 })
})

test('failures in a mode that goes on: completed_with_failures with a leaf, failed without', () => {
  const story = tell(compile({ a: {}, b: {} }))
  story.report('a', { status: 'failed', error })
  story.report('b')
  assert.equal(decideRun(story.state, story.plan)?.status, 'completed_with_failures')
  const none = tell(compile({ a: {}, b: { after: ['a'] } }))
  none.report('a', { status: 'failed', error })
  none.report('b', { status: 'skipped', failedBefore: true })
  assert.equal(decideRun(none.state, none.plan)?.status, 'failed')
})

test('what was skipped because of a failure keeps a run from ending completed', () => {
  const story = tell(compile({ a: {}, b: { after: ['a'] }, c: {} }))
  story.report('a')
  story.report('b', { status: 'skipped', failedBefore: true })
  story.report('c')
  assert.equal(decideRun(story.state, story.plan)?.status, 'completed_with_failures')
})

test('steps inside a fan-out without elements count as reported, nested ones too', () => {
  const story = tell(
    compile({
      a: {},
      b: { after: [{ step: 'a', each: true, maxItems: 10 }] },
      c: { after: [{ step: 'b', each: true, maxItems: 10 }] },
      d: { after: [{ step: 'c', gather: true }] },
      e: { after: [{ step: 'd', gather: true }] },
    }),
  )
  story.report('a', { fanOut: { marker: 'empty', count: 0 } })
  assert.equal(decideRun(story.state, story.plan), null)
  story.report('e')
  assert.equal(decideRun(story.state, story.plan)?.status, 'completed')
})

test('the terminal event names the failure with its step, item and attempts', () => {
  const story = tell(compile({ a: {}, b: { after: [{ step: 'a', each: true }] } }, 'fail_fast'))
  story.report('a', { fanOut: { marker: 'items', count: 2 } })
  story.report('b', { item: '1', status: 'failed', error, attempt: 2 })
  const decision = decideRun(story.state, story.plan)
  assert.ok(decision)
  assert.deepEqual(terminalEvent(story.state, decision, AT), {
    run: 1,
    type: 'job.failed',
    at: AT,
    attempt: 2,
    data: { step: 'b', item: '1', error },
  })
})
