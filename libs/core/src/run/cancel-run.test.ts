import assert from 'node:assert/strict'
import { test } from 'node:test'
import { cancelQueued, cancelRequested } from './cancel-run.ts'
import { decideRun, terminalEvent } from './decide-run.ts'
import { projectJob } from './project-job.ts'
import { compile } from './test-support/compile.ts'
import { AT, tell } from './test-support/tell.ts'

const order = { reason: 'wrong day', actor: 'key:1' }
const plan = compile({ a: {}, b: { after: ['a'] } })

test('a job that is cancelled in the queue has a whole log: queued, asked, cancelled', () => {
  const events = cancelQueued({ run: 1, lastSeq: 0, submittedAt: AT }, order, AT)
  assert.deepEqual(events, [
    { seq: 1, run: 1, type: 'job.queued', at: AT, data: {} },
    { seq: 2, run: 1, type: 'job.cancel_requested', at: AT, data: order },
    { seq: 3, run: 1, type: 'job.cancelled', at: AT, data: order },
  ])
  const view = projectJob(plan, events)
  assert.deepEqual([view.status, view.error, view.waitingFor], ['cancelled', null, null])
  assert.deepEqual(view.cancel, { requestedAt: AT, ...order })
  assert.deepEqual(
    Object.values(view.steps).map(({ status }) => status),
    ['cancelled', 'cancelled'],
  )
})

test('a later run that is cancelled in the queue goes on with the numbers of the log', () => {
  const events = cancelQueued({ run: 2, lastSeq: 7, submittedAt: AT }, order, AT)
  assert.deepEqual(
    events.map(({ seq, run, type }) => [seq, run, type]),
    [
      [8, 2, 'job.cancel_requested'],
      [9, 2, 'job.cancelled'],
    ],
  )
})

test('the end of a cancelled run says who asked and why', () => {
  const story = tell(plan)
  story.report('a')
  story.event(cancelRequested(1, order, AT))
  assert.equal(story.state.status, 'cancelling')
  const decision = decideRun(story.state, story.plan)
  assert.ok(decision)
  const end = terminalEvent(story.state, decision, AT)
  assert.deepEqual([end.type, end.data], ['job.cancelled', order])
})

test('a request without a reason tells of who asked alone', () => {
  assert.deepEqual(cancelRequested(1, { reason: null, actor: 'operator' }, AT).data, {
    actor: 'operator',
  })
})

test('the end of a run that its handler cancelled says what the handler said', () => {
  const story = tell(plan)
  story.report('a', { status: 'cancelled', reason: 'no longer wanted' })
  const decision = decideRun(story.state, story.plan)
  assert.ok(decision)
  assert.deepEqual(terminalEvent(story.state, decision, AT).data, { reason: 'no longer wanted' })
})
