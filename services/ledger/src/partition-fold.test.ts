import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type JobEvent, limits } from '@weir/contracts'
import type { KafkaRecord } from '@weir/kafka'
import type { Fold, LoadedRun } from '@weir/postgres'
import { createInstances } from './instances.ts'
import { compile, createWorld, NOW, payloadRecord } from './test-support/world.ts'

const line = compile({
  steps: {
    a: { stage: 'a@1' },
    b: { stage: 'b@1', after: ['a'] },
    c: { stage: 'c@1', after: ['b'] },
  },
})
const pair = compile({
  onFailure: 'fail_fast',
  steps: { a: { stage: 'a@1' }, b: { stage: 'b@1' } },
})

const eventsOf = (events: string): JobEvent[] => JSON.parse(events) as JobEvent[]

test('a short job is written once, with its whole log, numbered from 1, the terminal event last', async () => {
  const { addJob, open, report, log } = createWorld(line)
  const job = addJob()
  for (const step of ['a', 'b', 'c']) report(job, step, {})
  const fold = open()
  await fold.read(log, NOW)
  const write = fold.collect(NOW, false)
  assert.ok(write)
  assert.equal(write.fold.chunks.length, 1)
  const events = eventsOf(write.fold.chunks[0]?.events ?? '[]')
  assert.deepEqual(
    events.map((event) => event.seq),
    [1, 2, 3, 4, 5, 6],
  )
  assert.deepEqual(
    events.map((event) => event.type),
    ['job.queued', 'job.dispatched', ...Array(3).fill('task.completed'), 'job.completed'],
  )
  assert.equal(write.fold.ended[0]?.status, 'completed')
  assert.deepEqual([write.fold.fromOffset, write.fold.toOffset], [0, 3])
})

test('the committed offset never passes a record of which an event is not written', async () => {
  const { addJob, open, report, log } = createWorld(line)
  const [slow, quick] = [addJob(), addJob()]
  report(slow, 'a', {})
  for (const step of ['a', 'b', 'c']) report(quick, step, {})
  const fold = open()
  await fold.read(log, NOW)
  const write = fold.collect(NOW, false)
  assert.deepEqual(
    write?.fold.chunks.map((chunk) => chunk.job),
    [quick],
  )
  assert.equal(write?.fold.toOffset, 0)
  fold.committed(write.fold)
  const later = fold.collect(NOW + 1_000, false)
  assert.deepEqual(
    later?.fold.chunks.map((chunk) => chunk.job),
    [slow],
  )
  assert.equal(later?.fold.toOffset, 4)
})

test('what was written is not written again when its records are read again after a crash', async () => {
  const { addJob, open, report, log, rows } = createWorld(line)
  const job = addJob()
  report(job, 'a', {})
  const first = open()
  await first.read(log, NOW)
  const write = first.collect(NOW, true)
  assert.ok(write)
  const [chunk] = write.fold.chunks
  assert.ok(chunk)
  rows.set(job, { ...(rows.get(job) as LoadedRun), lastSeq: chunk.toSeq, chunks: [chunk] })
  for (const step of ['b', 'c']) report(job, step, {})
  const second = open()
  await second.read(log, NOW)
  const rest = second.collect(NOW, true)
  assert.deepEqual(
    eventsOf(rest?.fold.chunks[0]?.events ?? '[]').map(({ seq, type, step }) => [seq, type, step]),
    [
      [4, 'task.completed', 'b'],
      [5, 'task.completed', 'c'],
      [6, 'job.completed', undefined],
    ],
  )
})

test('a large output that comes after the end of its run is let go', async () => {
  const { addJob, open, report, log } = createWorld(line)
  const job = addJob()
  for (const step of ['a', 'b', 'c']) report(job, step, {})
  const fold = open()
  await fold.read(log, NOW)
  const write = fold.collect(NOW, false)
  assert.ok(write)
  fold.committed(write.fold)
  const late = payloadRecord(line, job, 3, { kind: 'output', body: '"large"' })
  await fold.read([late], NOW)
  const rest = fold.collect(NOW, false)
  assert.ok(rest)
  assert.deepEqual([rest.fold.payloads, rest.fold.toOffset], [[], 4])
  fold.committed(rest.fold)
  assert.equal(fold.collect(NOW, false), null)
})

test('an artifact is kept when its report is taken, once, and one for which there is no room is not', async () => {
  const { addJob, open, report, log } = createWorld(line)
  const job = addJob()
  const content = Buffer.from([0, 255, 10])
  const made = (n: number, bytes: number, digest: string) => {
    const artifact = { n, name: 'raw.bin', mediaType: 'image/x-raw', bytes, digest }
    log.push(payloadRecord(line, job, log.length, { kind: 'artifact', body: content, digest }))
    report(job, 'a', { status: 'artifact', artifact })
  }
  made(1, 3, 'first')
  made(2, limits.keptArtifactBytesPerRun, 'second')
  made(3, 3, 'first')
  const fold = open()
  await fold.read(log.slice(0, 1), NOW)
  assert.equal(fold.collect(NOW, true), null, 'nothing is known of its run')
  await fold.read(log.slice(1), NOW)
  const { fold: written } = fold.collect(NOW, true) ?? {}
  assert.deepEqual(
    written?.artifacts.map(({ step, digest, body }) => [step, digest, [...body]]),
    [['a', 'first', [...content]]],
  )
  assert.deepEqual(written?.payloads, [])
  const events = JSON.parse(written?.chunks[0]?.events ?? '[]') as JobEvent[]
  assert.deepEqual(
    events.flatMap(({ data }) => (data.artifact ? [[data.artifact.n, data.artifact.kept]] : [])),
    [
      [1, undefined],
      [2, false],
      [3, undefined],
    ],
  )
  assert.equal(written?.toOffset, 2, 'what is not kept is waited for, as its report might yet come')
  fold.committed(written as Fold)
  await fold.read([], NOW + 11_000)
  assert.equal(fold.collect(NOW + 11_000, true)?.fold.toOffset, log.length)
})

test('a report without a valid tag, or under another tenant, changes nothing', async () => {
  const { addJob, open, report, log } = createWorld(line)
  const job = addJob()
  report(job, 'a', {}, 'k1=AAAAAAAAAAAAAAAA')
  const fold = open()
  await fold.read(log, NOW)
  assert.equal(fold.counters.forged, 1)
  assert.equal(fold.runs, 0)
})

test('a run that ends with work going on is fenced, and ends when its instances have obeyed', async () => {
  const instances = createInstances()
  const { addJob, open, report, log } = createWorld(pair, instances)
  const job = addJob()
  const error = { code: 'broken', message: 'no', class: 'permanent' as const }
  report(job, 'a', { status: 'failed', error })
  const hello = (controlOffset: number, cleaning: [string, number][]) =>
    instances.read(
      [
        {
          key: Buffer.from('i1'),
          value: Buffer.from(JSON.stringify({ stage: 'b@1', controlOffset, cleaning })),
        } as unknown as KafkaRecord,
      ],
      NOW,
    )
  hello(10, [])
  const fold = open()
  await fold.read(log, NOW)
  const [fence] = fold.fences()
  assert.ok(fence?.book.ending)
  assert.equal(fence.record.reason, 'ended')
  fence.book.ending.fenceOffset = 12
  assert.deepEqual(fold.collect(NOW, true)?.fold.ended, [], 'not before the fence is obeyed')
  hello(13, [[job, 1]])
  assert.equal(fold.collect(NOW + 100, true)?.fold.ended.length ?? 0, 0, 'not while it cleans up')
  hello(13, [])
  const write = fold.collect(NOW + 200, true)
  assert.equal(write?.fold.ended[0]?.status, 'failed')
  assert.equal(write?.fold.ended[0]?.failedStep, 'a')
})

test('a fence that nobody acknowledges holds a run up for four seconds at most', async () => {
  const instances = createInstances()
  const { addJob, open, report, log } = createWorld(pair, instances)
  const job = addJob()
  const error = { code: 'broken', message: 'no', class: 'permanent' as const }
  report(job, 'a', { status: 'failed', error })
  instances.read(
    [
      {
        key: Buffer.from('i1'),
        value: Buffer.from(JSON.stringify({ stage: 'b@1', controlOffset: 0, cleaning: [] })),
      } as unknown as KafkaRecord,
    ],
    NOW,
  )
  const fold = open()
  await fold.read(log, NOW)
  const [fence] = fold.fences()
  assert.ok(fence?.book.ending)
  fence.book.ending.fenceOffset = 5
  assert.equal(fold.collect(NOW + 3_900, true)?.fold.ended.length ?? 0, 0)
  assert.equal(fold.collect(NOW + 4_000, true)?.fold.ended.length, 1)
})
