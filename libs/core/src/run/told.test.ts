import assert from 'node:assert/strict'
import { test } from 'node:test'
import { limits, type TaskReport } from '@weir/contracts'
import { foldEvent } from './fold-event.ts'
import { startRun } from './run-state.ts'
import { compile } from './test-support/compile.ts'
import { tell } from './test-support/tell.ts'

const chain = compile({ a: {}, b: { after: ['a'] } })

const event = (n: number, data?: unknown): Partial<TaskReport> => ({
  status: 'event',
  event: { n, name: 'said', ...(data === undefined ? {} : { data }) },
})
const lost = (from: number, to: number): Partial<TaskReport> => ({
  status: 'events_lost',
  lost: { from, to, count: to - from + 1, reason: 'queue_full' },
})
const artifact = (n: number, bytes: number, digest = `d${n}`): Partial<TaskReport> => ({
  status: 'artifact',
  artifact: { n, name: 'made', mediaType: 'text/plain', bytes, digest },
})

test('each event, gap and artifact of an attempt counts once, in the order of its numbers', () => {
  const story = tell(chain)
  const say = (report: Partial<TaskReport>) => {
    const { events, ignored } = story.report('a', report)
    return ignored ?? events.map(({ type }) => type).join()
  }
  assert.equal(say(event(1, { rows: 3 })), 'task.event')
  assert.deepEqual(story.events.at(-1)?.data, { event: { n: 1, name: 'said', data: { rows: 3 } } })
  assert.equal(say(event(1)), 'duplicate')
  assert.equal(say(lost(2, 4)), 'task.events_lost')
  assert.equal(say(event(3)), 'duplicate')
  assert.equal(say(lost(2, 4)), 'duplicate')
  assert.equal(say(artifact(5, 10)), 'task.artifact')
  assert.equal(say(artifact(5, 10)), 'duplicate')
  const progress = { n: 1, done: 1, total: 2 }
  assert.equal(say({ status: 'progress', progress }), 'task.progress', 'counted by itself')
  assert.equal(say(event(6)), 'task.event')
  assert.equal(say({ status: 'started' }), 'duplicate')
  assert.equal(say({ status: 'retry', retryAt: 1 }), 'task.retry_scheduled')
  assert.equal(say(event(7)), 'duplicate')
  assert.equal(say({ ...event(1), attempt: 2 }), 'task.event')
  story.report('a', { attempt: 2 })
  assert.equal(say({ ...event(2), attempt: 2 }), 'duplicate', 'the task is decided')
})

test('what is not whole is not taken', () => {
  const story = tell(chain)
  const bad = [
    { status: 'event' },
    { status: 'event', event: { n: 0, name: 'said' } },
    { status: 'event', event: { n: 1, name: '' } },
    { status: 'event', event: { n: 1, name: 'x'.repeat(limits.eventNameLength + 1) } },
    { status: 'events_lost', lost: { from: 1, to: 2, count: 2, reason: 'whim' } },
    { status: 'events_lost', lost: { from: 1, to: 2, count: -2, reason: 'queue_full' } },
    { status: 'artifact', artifact: { n: 1, name: 'a', mediaType: 'b', bytes: -1, digest: 'd' } },
    { status: 'artifact', artifact: { n: 1, name: 'a', mediaType: 'b', bytes: 1 } },
  ] as Partial<TaskReport>[]
  for (const report of bad) {
    assert.equal(story.report('a', report).ignored, 'duplicate', JSON.stringify(report))
  }
  assert.deepEqual(
    story.events.filter(({ step }) => step !== undefined),
    [],
  )
})

test('a run keeps so much of what is told, and its log says where that ended', () => {
  const story = tell(chain)
  for (let n = 1; n <= limits.toldPerRun; n += 1) {
    assert.equal(story.report('a', event(n)).ignored, null)
  }
  const { events, ignored } = story.report('a', event(limits.toldPerRun + 1))
  assert.equal(ignored, 'log_full')
  assert.deepEqual(
    events.map(({ type, data }) => [type, data.lost?.reason]),
    [['task.events_lost', 'run_full']],
  )
  for (const more of [event(limits.toldPerRun + 2), artifact(limits.toldPerRun + 3, 1)]) {
    assert.deepEqual(story.report('a', more), { events: [], ignored: 'log_full', diverged: false })
  }
  assert.equal(story.report('a').events[0]?.type, 'task.completed', 'decisions have no such bound')
})

test('a run keeps so many bytes of artifacts; beyond them it says that they were made', () => {
  const story = tell(chain)
  const made = () => story.events.at(-1)?.data.artifact
  const half = limits.keptArtifactBytesPerRun / 2
  story.report('a', artifact(1, half))
  story.report('a', artifact(2, half))
  assert.equal(made()?.kept, undefined)
  story.report('a', artifact(3, 1))
  assert.deepEqual([made()?.n, made()?.kept], [3, false])
  story.report('a', artifact(4, half, 'd1'))
  assert.equal(made()?.kept, undefined, 'the same content is kept once')
  assert.equal(story.state.artifactBytes, limits.keptArtifactBytesPerRun)
  assert.deepEqual([...story.state.artifacts], ['d1', 'd2'])
})

test('the next run starts with an empty count, and the log folds to the same state', () => {
  const story = tell(chain)
  story.report('a', event(1))
  story.report('a', artifact(2, 7))
  story.event({ type: 'job.failed' })
  story.event({ type: 'job.rerun', run: 2, data: { again: [['a', '*']] } })
  assert.deepEqual([story.state.told, story.state.artifactBytes], [0, 0])
  assert.equal(story.report('a', event(1)).ignored, null)
  const folded = startRun(chain)
  for (const each of story.events) foldEvent(folded, chain, each)
  assert.deepEqual(folded, story.state)
})
