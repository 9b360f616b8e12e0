import assert from 'node:assert/strict'
import { test } from 'node:test'
import { decideRun, terminalEvent } from './decide-run.ts'
import { projectJob } from './project-job.ts'
import { compile } from './test-support/compile.ts'
import { AT, type Story, tell } from './test-support/tell.ts'

const error = { code: 'broken', message: 'It broke.', class: 'permanent' } as const
const after = (ms: number) => Date.parse(AT) + ms

function end(story: Story): void {
  const decision = decideRun(story.state, story.plan)
  assert.ok(decision)
  story.event({ ...terminalEvent(story.state, decision, AT), at: '2024-01-01T00:00:09.000Z' })
}

test('a job with a retry and a failed item looks as the contract shows it', () => {
  const story = tell(
    compile({
      split: {},
      locate: { after: [{ step: 'split', each: true }] },
      merge: { after: [{ step: 'locate', gather: true }] },
    }),
  )
  const fanOut = { marker: 'items', count: 2 } as const
  story.report('split', { fanOut, at: after(10), waitMs: 1.5, workMs: 4, output: '[1,2]' })
  const retry = {
    item: '0',
    status: 'retry',
    workMs: 5,
    at: after(20),
    retryAt: after(30),
  } as const
  story.report('locate', { ...retry, error })
  story.report('locate', { item: '0', attempt: 2, workMs: 7, at: after(40), output: '10' })
  story.report('locate', { item: '1', status: 'failed', attempt: 3, error, at: after(50) })
  story.report('merge', { at: after(60), output: '[10]', digest: 'd' })
  end(story)
  const view = projectJob(story.plan, story.events, { outputs: true })
  assert.deepEqual(view, {
    run: 1,
    status: 'completed_with_failures',
    submittedAt: AT,
    dispatchedAt: AT,
    finishedAt: '2024-01-01T00:00:09.000Z',
    result: [10],
    error: null,
    waitingFor: null,
    steps: {
      split: {
        stage: 'split@1',
        status: 'completed',
        attempts: 1,
        waitMs: 1.5,
        workMs: 4,
        startedAt: '2024-01-01T00:00:00.006Z',
        finishedAt: '2024-01-01T00:00:00.010Z',
        error: null,
        reason: null,
        output: [1, 2],
      },
      locate: {
        stage: 'locate@1',
        status: 'completed',
        attempts: 3,
        waitMs: 0,
        workMs: 12,
        startedAt: '2024-01-01T00:00:00.015Z',
        finishedAt: '2024-01-01T00:00:00.050Z',
        error: { ...error, step: 'locate', item: '1', attempts: 3 },
        reason: null,
        items: { total: 2, completed: 1, skipped: 0, failed: 1 },
        output: [10, null],
      },
      merge: {
        stage: 'merge@1',
        status: 'completed',
        attempts: 1,
        waitMs: 0,
        workMs: 0,
        startedAt: '2024-01-01T00:00:00.060Z',
        finishedAt: '2024-01-01T00:00:00.060Z',
        error: null,
        reason: null,
        output: [10],
      },
    },
    runs: [{ run: 1, status: 'completed_with_failures', cause: 'submit' }],
  })
})

test('steps go from pending over running to their end', () => {
  const story = tell(compile({ a: {}, b: { after: ['a'] } }))
  const statuses = () =>
    Object.values(projectJob(story.plan, story.events).steps).map(({ status }) => status)
  assert.deepEqual(statuses(), ['running', 'pending'])
  story.report('a')
  assert.deepEqual(statuses(), ['completed', 'running'])
  story.report('b', { status: 'skipped', reason: 'nothing to do' })
  assert.deepEqual(statuses(), ['completed', 'skipped'])
  assert.equal(projectJob(story.plan, story.events).steps.b?.reason, 'nothing to do')
})

test('a wait that was told of when a long task started is counted once', () => {
  const story = tell(compile({ a: {} }))
  story.report('a', { status: 'started', waitMs: 7, at: after(1_000) })
  assert.equal(projectJob(story.plan, story.events).steps.a?.waitMs, 7)
  story.report('a', { waitMs: 7, workMs: 1_500, at: after(1_500) })
  end(story)
  const { waitMs, workMs } = projectJob(story.plan, story.events).steps.a ?? {}
  assert.deepEqual([waitMs, workMs], [7, 1_500])
})

test('a queued job has only pending steps', () => {
  const { plan, events } = tell(compile({ a: {} }))
  const view = projectJob(plan, events.slice(0, 1))
  assert.equal(view.status, 'queued')
  assert.equal(view.steps.a?.status, 'pending')
})

test('what had not reported when the run failed is cancelled, what had is kept', () => {
  const story = tell(compile({ a: {}, b: {}, c: { after: ['a', 'b'] } }, 'fail_fast'))
  story.report('a', { output: '{"x":1}' })
  story.report('b', { status: 'failed', error, attempt: 2 })
  end(story)
  const view = projectJob(story.plan, story.events, { outputs: true })
  assert.deepEqual(
    Object.values(view.steps).map(({ status }) => status),
    ['completed', 'failed', 'cancelled'],
  )
  assert.deepEqual(view.steps.a?.output, { x: 1 })
  assert.equal(view.result, null)
  assert.deepEqual(view.error, { ...error, step: 'b', attempts: 2 })
})

test('the result is the only leaf, or an object of the leafs that completed', () => {
  const story = tell(compile({ a: {}, b: {}, c: {} }))
  story.report('a', { output: '1', digest: 'd1' })
  story.report('b', { digest: 'd2' })
  story.report('c', { status: 'skipped' })
  end(story)
  const read: string[][] = []
  const readOutput = (step: string, item: string, digest: string) => {
    read.push([step, item, digest])
    return '"large"'
  }
  const view = projectJob(story.plan, story.events, { readOutput })
  assert.deepEqual(view.result, { a: 1, b: 'large' })
  assert.deepEqual(read, [['b', '', 'd2']])
  assert.equal(Object.hasOwn(view.steps.a ?? {}, 'output'), false)
})

test('a leaf inside nested fan-outs gives arrays as they are nested', () => {
  const story = tell(
    compile({
      a: {},
      b: { after: [{ step: 'a', each: true, maxItems: 9 }] },
      c: { after: [{ step: 'b', each: true, maxItems: 9 }] },
    }),
  )
  story.report('a', { fanOut: { marker: 'items', count: 2 } })
  story.report('b', { item: '0', fanOut: { marker: 'items', count: 2 } })
  story.report('b', { item: '1', fanOut: { marker: 'empty', count: 0 } })
  story.report('c', { item: '0.1', output: '"y"' })
  story.report('c', { item: '0.0', status: 'skipped' })
  end(story)
  assert.deepEqual(projectJob(story.plan, story.events).result, [[null, 'y'], []])
})

test('a job that does not move says what it waits for', () => {
  const story = tell(compile({ a: {}, b: {}, c: { after: ['a', 'b'] } }))
  const waiting = () => projectJob(story.plan, story.events).waitingFor
  assert.equal(waiting(), null)
  story.report('a')
  assert.equal(waiting(), null)
  story.report('b', { status: 'retry', retryAt: after(700) })
  assert.deepEqual(waiting(), {
    kind: 'retry',
    detail: 'step b tries again (attempt 2)',
    stage: 'b@1',
    until: '2024-01-01T00:00:00.700Z',
  })
  story.report('b', { attempt: 2 })
  assert.equal(waiting(), null)
})

test('a rerun starts the named steps anew and keeps both runs in the list', () => {
  const story = tell(compile({ a: {}, b: { after: ['a'] } }))
  story.report('a', { output: '1', workMs: 3 })
  story.report('b', { status: 'failed', error })
  end(story)
  story.event({ type: 'job.rerun', run: 2, data: { again: [['b', '*']], cause: 'redrive' } })
  let view = projectJob(story.plan, story.events)
  assert.equal(view.status, 'running')
  assert.equal(view.error, null)
  assert.equal(view.finishedAt, null)
  assert.equal(view.steps.b?.status, 'running')
  story.report('b', { output: '2' })
  end(story)
  view = projectJob(story.plan, story.events)
  assert.deepEqual(view.runs, [
    { run: 1, status: 'failed', cause: 'submit' },
    { run: 2, status: 'completed', cause: 'redrive' },
  ])
  assert.equal(view.result, 2)
  assert.equal(view.steps.a?.workMs, 3)
  assert.equal(view.steps.b?.error, null)
})

test('a step with a mark shows that it diverged', () => {
  const story = tell(compile({ a: {} }))
  story.report('a', { digest: 'x' })
  assert.equal(Object.hasOwn(projectJob(story.plan, story.events).steps.a ?? {}, 'diverged'), false)
  story.report('a', { digest: 'y' })
  assert.equal(projectJob(story.plan, story.events).steps.a?.diverged, true)
})
