import assert from 'node:assert/strict'
import { mock, test } from 'node:test'
import type { Task, TaskEnd } from '@weir/core'
import { createLogger } from '@weir/runtime'
import { defineStage, type Stage } from '@weir/sdk'
import { createClock } from './clock.ts'
import { createCounters } from './counters.ts'
import { createEventSink } from './event-sink.ts'
import { createTaskRunner, type TaskOwner } from './task-runner.ts'

const tracesOf = ['a1', 'b2', 'c3'].map((pair) => pair.repeat(16))
const SPAN = 'd4'.repeat(8)

function taskOf(stage: Stage, trace: string, n: number): Task {
  const step = { name: 'bulk', timeoutMs: 10_000, config: {} }
  const meta = { run: 1, item: String(n), priority: 128, notAfter: Date.now() + 60_000 }
  const envelope = {
    tenant: 'acme',
    job: `job-${n}`,
    correlation: `corr-${n}`,
    traceparent: `00-${trace}-${SPAN}-00`,
    meta,
  }
  return {
    offset: n,
    timestampMs: Date.now(),
    attempt: 1,
    of: 'data',
    plan: { pipeline: stage.name },
    step,
    envelope,
    value: JSON.stringify({ n }),
    notBefore: 0,
    state: 'ready',
  } as unknown as Task
}

/** Runs tasks of a stage to their ends; what was logged, and how many loggers were made for it. */
async function run(stage: Stage, tasks: readonly Task[]) {
  const lines: Record<string, unknown>[] = []
  const destination = { write: (line: string) => void lines.push(JSON.parse(line)) }
  const log = createLogger({ service: 'test', destination })
  const made = mock.method(log, 'child')
  const ended = new Map<Task, TaskEnd>()
  const all = Promise.withResolvers<void>()
  const owner: TaskOwner = {
    topic: 'in',
    partition: 0,
    lane: 'normal',
    start: () => true,
    end(task, end) {
      ended.set(task, end)
      if (ended.size === tasks.length) all.resolve()
    },
  }
  const runner = createTaskRunner({
    stage,
    group: 'group',
    concurrency: 1,
    clock: createClock(),
    log,
    counters: createCounters(),
    isFresh: () => true,
    retryDelayMs: () => 0,
    onMeasured() {},
    onFailed() {},
    onLong() {},
    onProgress() {},
    onTold() {},
    events: createEventSink({
      ...{ policy: 'block', queueMax: 1, perSecond: 1, nowMs: () => 0, after: () => () => {} },
    }),
    onCleaning() {},
    onTooManyDetached() {},
  })
  for (const task of tasks) runner.add(owner, task)
  await all.promise
  return { lines, children: made.mock.callCount() }
}

const bulk = (says: boolean) =>
  defineStage({
    name: 'bulk',
    version: '1.0.0',
    batch: { max: tracesOf.length, waitMs: 1_000 },
    runBatch(inputs, contexts) {
      if (says) for (const ctx of contexts) ctx.log.info('seen')
      return inputs
    },
  })

test('each line of a batch names its own task and trace', async () => {
  const stage = bulk(true)
  const { lines } = await run(
    stage,
    tracesOf.map((trace, n) => taskOf(stage, trace, n)),
  )
  const ids = lines.map((line) => [line.msg, line.job, line.item, line.trace_id, line.span_id])
  assert.deepEqual(
    ids,
    tracesOf.map((trace, n) => ['seen', `job-${n}`, String(n), trace, SPAN]),
  )
})

test('a batch that says nothing makes no loggers', async () => {
  const stage = bulk(false)
  const { lines, children } = await run(
    stage,
    tracesOf.map((trace, n) => taskOf(stage, trace, n)),
  )
  assert.deepEqual([lines, children], [[], 0])
})
