import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Job } from '@weir/client'
import { plain } from '../output/paint.ts'
import { drawTrace } from './trace.ts'

const time = (ms: number) => new Date(Date.UTC(2026, 0, 1) + ms).toISOString()

const step = (from: number, to: number, waitMs: number, more = {}) => ({
  stage: 'a@1',
  status: 'completed',
  attempts: 1,
  waitMs,
  workMs: to - from,
  startedAt: time(from),
  finishedAt: time(to),
  error: null,
  ...more,
})

const job = {
  id: 'j1',
  pipeline: 'p',
  version: 1,
  run: 1,
  status: 'completed',
  traceId: 'abc',
  submittedAt: time(0),
  dispatchedAt: time(200),
  finishedAt: time(1_000),
  error: null,
  links: { self: '', events: '', trace: 'http://jaeger/trace/abc' },
  steps: {
    first: step(400, 600, 200),
    second: step(800, 1_000, 100, { attempts: 2 }),
    never: { ...step(0, 0, 0), status: 'skipped', startedAt: null, finishedAt: null },
  },
} as unknown as Job

test('the waterfall shows waiting before working, each at its time', () => {
  // 20 characters for 1000 ms.
  const lines = drawTrace(job, 72, plain).split('\n')
  assert.deepEqual(lines.slice(0, 3), [
    'trace  abc',
    'link   http://jaeger/trace/abc',
    'job    j1, run 1 of p v1: completed, 1 s',
  ])
  const start = (lines[4] as string).indexOf('0ms')
  const bars = lines.slice(5).map((line) => line.slice(start, start + 20).trimEnd())
  assert.deepEqual(bars, ['░░░░', '    ░░░░████', '              ░░████', '-'])
  assert.match(lines[7] as string, /100 ms {2}200 ms {2}2 attempts$/)
})

test('a job that has not ended is drawn up to now', () => {
  const running = {
    ...job,
    finishedAt: null,
    steps: { a: { ...step(100, 0, 0), finishedAt: null } },
  }
  const text = drawTrace(running as unknown as Job, 72, plain, Date.parse(time(2_000)))
  assert.match(text, /, 2 s\n/)
  assert.match(text, /^a .*█{19}/m)
})
