import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type JobEvent, newUuid, type TaskReport } from '@weir/contracts'
import type { CancelRequest, Fold, LoadedRun } from '@weir/postgres'
import type { PartitionFold } from './partition-fold.ts'
import { compile, createWorld, NOW, tenant } from './test-support/world.ts'

const job = newUuid()
const ASKED = NOW + 10
const order = { reason: 'wrong day', actor: 'key:1', at: ASKED }
const request: CancelRequest = { tenant, job, run: 1, ...order }
const stage = 'a@1'
const plan = compile({
  onFailure: 'fail_fast',
  steps: { a: { stage }, b: { stage }, c: { stage, after: ['a'] } },
})

/** One run in flight, whose stages have no instance that would have to obey a fence. */
function createCancelWorld() {
  const { rows, addJob, open, report } = createWorld(plan)
  addJob(job)
  const change = (row: Partial<LoadedRun>) => {
    rows.set(job, { ...(rows.get(job) as LoadedRun), ...row })
  }
  return {
    change,
    open(row: Partial<LoadedRun> = {}): PartitionFold {
      change(row)
      return open()
    },
    report: (step: string, task: Partial<TaskReport> = {}) => report(job, step, task),
  }
}

/** Writes all there is; fences are acknowledged at once. */
function write(fold: PartitionFold, nowMs: number) {
  const fences = fold.fences()
  for (const [at, { book }] of fences.entries()) if (book.ending) book.ending.fenceOffset = at
  const collected = fold.collect(nowMs, true)
  const chunk = collected?.fold.chunks[0]
  const events = JSON.parse(chunk?.events ?? '[]') as JobEvent[]
  if (collected !== null) fold.committed(collected.fold)
  return { fences, chunk, events, ended: collected?.fold.ended[0] }
}

const typesOf = (events: readonly JobEvent[]) => events.map(({ type }) => type)
const error = { code: 'broken', message: 'no', class: 'permanent' } as const

test('a run that somebody asked to cancel is fenced, and its end says who asked and why', async () => {
  const { open, report } = createCancelWorld()
  const fold = open()
  await fold.read([report('a')], NOW)
  await fold.cancel([request, request], ASKED)
  await fold.cancel([request], ASKED)
  const { fences, events, ended } = write(fold, ASKED)
  assert.deepEqual(
    fences.map(({ record }) => [record.job, record.run, record.reason]),
    [[job, 1, 'cancelled']],
  )
  assert.deepEqual(typesOf(events), [
    'job.queued',
    'job.dispatched',
    'task.completed',
    'job.cancel_requested',
    'job.cancelled',
  ])
  const data = { reason: order.reason, actor: order.actor }
  assert.deepEqual(events[3], {
    seq: 4,
    run: 1,
    type: 'job.cancel_requested',
    at: new Date(ASKED).toISOString(),
    data,
  })
  assert.deepEqual(events[4]?.data, data)
  assert.deepEqual([ended?.status, ended?.error, ended?.isCancelKnown], ['cancelled', null, true])
  await fold.cancel([request], ASKED + 500)
  assert.equal(fold.collect(ASKED + 500, true), null, 'what is asked for again changes nothing')
})

test('a run of which nothing was heard yet is fenced all the same', async () => {
  const fold = createCancelWorld().open()
  await fold.cancel([request], ASKED)
  const { fences, events } = write(fold, ASKED)
  assert.equal(fences.length, 1)
  assert.deepEqual(typesOf(events), [
    'job.queued',
    'job.dispatched',
    'job.cancel_requested',
    'job.cancelled',
  ])
})

test('reports that are read after the request are kept, and complete no run', async () => {
  const { open, report } = createCancelWorld()
  const fold = open({ cancel: order })
  await fold.read([report('a'), report('b'), report('c')], ASKED)
  const { events, ended } = write(fold, ASKED)
  assert.equal(ended?.status, 'cancelled')
  assert.deepEqual(typesOf(events).slice(2), [
    'job.cancel_requested',
    ...Array(3).fill('task.completed'),
    'job.cancelled',
  ])
})

test('an end that was not written because of a request is taken back, and the work before it is kept', async () => {
  const world = createCancelWorld()
  const fold = world.open()
  await fold.read(
    ['a', 'b', 'c'].map((step) => world.report(step)),
    NOW,
  )
  const refused = fold.collect(NOW, false)?.fold
  assert.equal(refused?.ended[0]?.status, 'completed')
  assert.equal(refused?.ended[0]?.isCancelKnown, false)
  world.change({ cancel: order })
  await fold.reopen(refused as Fold, ASKED)
  const { events, ended } = write(fold, ASKED)
  assert.equal(ended?.status, 'cancelled')
  assert.deepEqual(
    events.map(({ seq }) => seq),
    [1, 2, 3, 4, 5, 6, 7],
  )
  assert.deepEqual(typesOf(events).slice(2), [
    ...Array(3).fill('task.completed'),
    'job.cancel_requested',
    'job.cancelled',
  ])
})

test('a run that had failed before it was to be cancelled stays failed, and its log tells of both', async () => {
  const { open, report } = createCancelWorld()
  const fold = open()
  await fold.read([report('a', { status: 'failed', error })], NOW)
  await fold.cancel([request], ASKED)
  const { events, ended } = write(fold, ASKED)
  assert.deepEqual([ended?.status, ended?.isCancelKnown], ['failed', true])
  assert.deepEqual(typesOf(events).slice(2), ['task.failed', 'job.cancel_requested', 'job.failed'])
})

test('a run that is out of time and to be cancelled before that is written is cancelled', async () => {
  const fold = createCancelWorld().open()
  await fold.expire([request], ASKED)
  await fold.cancel([request], ASKED)
  assert.equal(write(fold, ASKED).ended?.status, 'cancelled')
})

test('a request that was written before a crash is carried out by the next owner, and not written twice', async () => {
  const { open } = createCancelWorld()
  const first = open()
  await first.cancel([request], ASKED)
  // Killed between the request and the end: the fence was never acknowledged.
  const before = first.collect(ASKED, true)?.fold.chunks[0]
  assert.ok(before)
  assert.deepEqual(typesOf(JSON.parse(before.events)).slice(2), ['job.cancel_requested'])
  const left = { cancel: order, lastSeq: before.toSeq, chunks: [before] }
  const second = open(left)
  await second.cancel([request], ASKED + 1_000)
  const { fences, events, ended } = write(second, ASKED + 1_000)
  assert.equal(fences.length, 1)
  assert.deepEqual(
    events.map(({ seq, type }) => [seq, type]),
    [[before.toSeq + 1, 'job.cancelled']],
  )
  assert.equal(ended?.isCancelKnown, true)
})
