import assert from 'node:assert/strict'
import { test } from 'node:test'
import { digestOf } from '@weir/contracts'
import { foldEvent } from './fold-event.ts'
import { startRun } from './run-state.ts'
import { compile } from './test-support/compile.ts'
import { AT, tell } from './test-support/tell.ts'

const chain = compile({ a: {}, b: { after: ['a'] } })
const fan = compile({
  a: {},
  b: { after: [{ step: 'a', each: true, maxItems: 5 }] },
  c: { after: [{ step: 'b', gather: true }] },
})

test('a report becomes one event with what it says, at no later time than the ledger has', () => {
  const story = tell(chain)
  const { events } = story.report('a', { at: Date.parse(AT) + 9_000, digest: 'x', output: '1' })
  assert.deepEqual(events, [
    {
      run: 1,
      type: 'task.completed',
      at: '2024-01-01T00:00:01.000Z',
      step: 'a',
      attempt: 1,
      stage: 'a@1',
      data: { digest: 'x', output: '1' },
    },
  ])
})

test('the same report again is a duplicate and adds nothing', () => {
  const story = tell(chain)
  story.report('a', { digest: 'x' })
  assert.deepEqual(story.report('a', { digest: 'x' }), {
    events: [],
    ignored: 'duplicate',
    diverged: false,
  })
})

test('another answer is kept as one mark, however often it comes', () => {
  const story = tell(chain)
  story.report('a', { digest: 'x' })
  assert.deepEqual(
    story.report('a', { digest: 'y' }).events.map(({ type, data }) => [type, data.digest]),
    [['task.diverged', 'y']],
  )
  const again = story.report('a', { digest: 'z' })
  assert.deepEqual([again.events.length, again.ignored, again.diverged], [0, 'duplicate', true])
})

test('progress is told in its order, each word once, and never of a task that is decided', () => {
  const story = tell(chain)
  const say = (n: number, attempt = 1) => {
    const progress = { n, done: n * 10, total: 30 }
    const { events, ignored } = story.report('a', { status: 'progress', attempt, progress })
    return ignored ?? events.map(({ type, data }) => [type, data.progress?.done])
  }
  assert.deepEqual(say(1), [['task.progress', 10]])
  assert.equal(say(1), 'duplicate')
  assert.equal(story.report('a', { status: 'started' }).ignored, 'duplicate')
  assert.deepEqual(say(3), [['task.progress', 30]])
  assert.equal(say(2), 'duplicate')
  story.report('a', { status: 'retry', retryAt: 1 })
  assert.equal(say(4), 'duplicate')
  assert.deepEqual(say(1, 2), [['task.progress', 10]])
  for (const n of [0, -1, 1.5, Number.NaN]) assert.equal(say(n, 3), 'duplicate', String(n))
  story.report('a', { attempt: 2 })
  assert.equal(say(2, 2), 'duplicate')
})

test('what does not fit the plan is ignored with the reason', () => {
  const story = tell(fan)
  assert.equal(story.report('x').ignored, 'unknown_step')
  assert.equal(story.report('b').ignored, 'invalid_item')
  assert.equal(story.report('a', { item: '1' }).ignored, 'invalid_item')
  for (const item of ['01', '-1', '1.2', '1e3', ' 1', '1'.repeat(100)]) {
    assert.equal(story.report('b', { item }).ignored, 'invalid_item', item)
  }
  const fanOut = { marker: 'items', count: 2 ** 31 } as const
  assert.equal(story.report('a', { fanOut }).ignored, 'invalid_report')
})

test('elements beyond the bound, and beyond the count once it is known, mark their step', () => {
  const story = tell(fan)
  assert.equal(story.report('b', { item: '5' }).ignored, 'beyond_count')
  const counted = tell(fan)
  counted.report('a', { fanOut: { marker: 'items', count: 2 } })
  assert.equal(counted.report('b', { item: '1' }).ignored, null)
  assert.equal(counted.report('b', { item: '2' }).ignored, 'beyond_count')
  assert.equal(counted.state.steps[1]?.diverged, true)
  assert.equal(counted.state.steps[1]?.reported, 1)
})

test('a count that comes late takes back what was beyond it', () => {
  const story = tell(fan)
  for (const item of ['0', '3', '4']) story.report('b', { item })
  story.report('a', { fanOut: { marker: 'items', count: 1 } })
  assert.equal(story.state.steps[1]?.reported, 1)
  assert.equal(story.state.steps[1]?.diverged, true)
})

test('a consumer that took another digest marks its producer, whichever reports first', () => {
  const inOrder = tell(chain)
  inOrder.report('a', { digest: digestOf('1') })
  assert.equal(inOrder.report('b', { took: [[1, '', digestOf('2')]] }).diverged, true)
  assert.equal(inOrder.state.steps[0]?.diverged, true)
  assert.equal(inOrder.state.steps[1]?.diverged, false)
  const reversed = tell(chain)
  reversed.report('b', { took: [[1, '', digestOf('2')]] })
  reversed.report('a', { digest: digestOf('1') })
  assert.equal(reversed.state.steps[0]?.diverged, true)
  assert.equal(reversed.state.taken.size, 0)
  const equal = tell(chain)
  equal.report('a', { digest: digestOf('1') })
  assert.equal(equal.report('b', { took: [[1, '', digestOf('1')]] }).diverged, false)
})

test('case 13: a consumer that took a marker from a step that reported an output shows it', () => {
  for (const digest of ['skipped', 'failed', digestOf('null')]) {
    const story = tell(chain)
    story.report('a', { digest: digestOf('1') })
    assert.equal(story.report('b', { status: 'skipped', took: [[1, '', digest]] }).diverged, true)
  }
  const story = tell(chain)
  story.report('a', { status: 'skipped', reason: 'by choice' })
  assert.equal(story.report('b', { took: [[1, '', digestOf('1')]] }).diverged, true)
})

test('a marker that fits what its sender reported is no contradiction', () => {
  const error = { code: 'x', message: 'x', class: 'permanent' } as const
  for (const [status, digest] of [
    ['failed', 'failed'],
    ['failed', digestOf('null')],
    ['skipped', 'skipped'],
    ['cancelled', 'skipped'],
  ] as const) {
    const story = tell(chain)
    story.report('a', { status, ...(status === 'failed' ? { error } : {}) })
    const { diverged } = story.report('b', { status: 'skipped', took: [[1, '', digest]] })
    assert.equal(diverged, false, `${status} ${digest}`)
  }
})

test('attempts are told once each, and not after the task was decided', () => {
  const story = tell(chain)
  const retry = { status: 'retry', attempt: 1, retryAt: Date.parse(AT) + 500 } as const
  assert.equal(story.report('a', { status: 'started' }).events[0]?.type, 'task.started')
  assert.equal(story.report('a', { status: 'started' }).ignored, 'duplicate')
  assert.equal(story.report('a', retry).events[0]?.type, 'task.retry_scheduled')
  assert.equal(story.report('a', retry).ignored, 'duplicate')
  assert.equal(story.report('a', { status: 'started', attempt: 1 }).ignored, 'duplicate')
  assert.equal(story.report('a', { status: 'started', attempt: 2 }).ignored, null)
  story.report('a', { attempt: 2 })
  assert.equal(story.report('a', { ...retry, attempt: 3 }).ignored, 'duplicate')
  assert.equal(story.state.steps[0]?.diverged, false)
})

test('a join that did not wait for all fires in the log before its task is decided', () => {
  const plan = compile({ a: {}, b: {}, c: { after: ['a', 'b'], join: { policy: 'any' } } })
  const story = tell(plan)
  story.report('a', { digest: 'x' })
  const { events } = story.report('c', { took: [[2, '', 'x']], missing: [[3, '']], digest: 'y' })
  assert.deepEqual(
    events.map(({ type, data }) => [type, data]),
    [
      ['join.fired', { took: [[2, '', 'x']], missing: [[3, '']] }],
      ['task.completed', { digest: 'y' }],
    ],
  )
})

test('a rerun reopens the tasks that it names and keeps the others', () => {
  const story = tell(fan)
  const error = { code: 'x', message: 'x', class: 'permanent' } as const
  story.report('a', { fanOut: { marker: 'items', count: 2 } })
  story.report('b', { item: '0' })
  story.report('b', { item: '1', status: 'failed', error })
  story.report('c', { status: 'skipped', failedBefore: true })
  story.event({ type: 'job.failed', data: { step: 'b', item: '1', error } })
  assert.equal(story.report('b', { item: '1' }).ignored, 'ended')
  const again = [
    ['b', ['1']],
    ['c', '*'],
  ] as const
  story.event({ type: 'job.rerun', run: 2, data: { again } })
  assert.equal(story.state.run, 2)
  assert.equal(story.state.status, 'running')
  assert.deepEqual(
    story.state.steps.map(({ reported }) => reported),
    [1, 1, 0],
  )
  assert.equal(story.state.steps[1]?.failure, null)
  assert.equal(story.report('b', { item: '1' }).ignored, null)
  const folded = startRun(fan)
  for (const event of story.events) foldEvent(folded, fan, event)
  assert.deepEqual(folded, story.state)
})

test('running the source of a fan-out again forgets the elements it had sent', () => {
  const story = tell(fan)
  story.report('a', { fanOut: { marker: 'items', count: 2 } })
  story.report('b', { item: '0' })
  story.report('b', { item: '1' })
  story.event({
    type: 'job.rerun',
    run: 2,
    data: {
      again: [
        ['a', '*'],
        ['b', '*'],
        ['c', '*'],
      ],
    },
  })
  assert.deepEqual(
    story.state.steps.map(({ reported, fanTotal }) => [reported, fanTotal]),
    [
      [0, 0],
      [0, 0],
      [0, 0],
    ],
  )
})
