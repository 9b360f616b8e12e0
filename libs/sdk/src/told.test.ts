import assert from 'node:assert/strict'
import { test } from 'node:test'
import { limits } from '@weir/contracts'
import type { StageContext } from './context.ts'
import { defineStage } from './define-stage.ts'
import { runTask } from './run-task.ts'
import type { Task } from './task.ts'
import { testStage } from './test-stage.ts'

const stageOf = (run: (ctx: StageContext) => unknown) =>
  defineStage({ name: 'teller', version: '1.0.0', run: (_, ctx) => run(ctx) })

test('a test sees events and artifacts in their order, awaited or not', async () => {
  const stage = stageOf((ctx) => {
    void ctx.event('begun')
    void ctx.artifact('a.txt', 'grün')
    void ctx.artifact('b.bin', new Uint8Array([0, 255]))
    void ctx.artifact('c.json', { rows: [1] }, { mediaType: 'application/vnd.rows+json' })
    void ctx.event('ended', { rows: 1 })
    return 'done'
  })
  const { outcome, events, artifacts } = await testStage(stage).run(null)
  assert.equal(outcome.status, 'ok')
  assert.deepEqual(events, [
    { name: 'begun', data: undefined },
    { name: 'ended', data: { rows: 1 } },
  ])
  assert.deepEqual(
    artifacts.map(({ name, mediaType, content }) => [name, mediaType, [...content]]),
    [
      ['a.txt', 'text/plain; charset=utf-8', [...Buffer.from('grün')]],
      ['b.bin', 'application/octet-stream', [0, 255]],
      ['c.json', 'application/vnd.rows+json', [...Buffer.from('{"rows":[1]}')]],
    ],
  )
})

test('an event says whether it was taken; one whose data is too large or no JSON is not', async () => {
  const taken: boolean[] = []
  const stage = stageOf(async (ctx) => {
    for (const data of [1, 'x'.repeat(limits.eventBytes), new Date(0), Number.NaN]) {
      taken.push(await ctx.event('said', data))
    }
  })
  await testStage(stage).run(null)
  assert.deepEqual(taken, [true, false, false, false])
})

test('an event without a proper name is a fault of the code', async () => {
  for (const name of ['', 'Rows', 'rows read', '1st', 'x'.repeat(limits.eventNameLength + 1)]) {
    const { outcome } = await testStage(stageOf((ctx) => void ctx.event(name))).run(null)
    assert.equal(outcome.status, 'retry', name)
  }
})

test('an artifact that cannot be kept fails the attempt, whatever the handler makes of it', async () => {
  const codeOf = async (run: (ctx: StageContext) => unknown) => {
    const { outcome } = await testStage(stageOf(run)).run(null)
    return 'error' in outcome ? [outcome.status, outcome.error.code] : [outcome.status]
  }
  const large = 'x'.repeat(limits.artifactBytes + 1)
  assert.deepEqual(await codeOf((ctx) => void ctx.artifact('a', large)), [
    'fail',
    'artifact_too_large',
  ])
  assert.deepEqual(await codeOf((ctx) => ctx.artifact('a', large).catch(() => 'ignored')), [
    'fail',
    'artifact_too_large',
  ])
  for (const name of ['', '../a', 'a\\b', 'a\nb', 'x'.repeat(limits.artifactNameLength + 1)]) {
    const code = await codeOf((ctx) => void ctx.artifact(name, 'a'))
    assert.deepEqual(code, ['fail', 'artifact_invalid'], name)
  }
  const types = ['text', 'text/html\r\nset-cookie: a=b', 'a/b; c=d']
  for (const mediaType of types) {
    const code = await codeOf((ctx) => void ctx.artifact('a', 'a', { mediaType }))
    assert.deepEqual(code, ['fail', 'artifact_invalid'], mediaType)
  }
  assert.deepEqual(await codeOf((ctx) => void ctx.artifact('a', { at: new Date(0) })), [
    'fail',
    'artifact_invalid',
  ])
  const many = async (ctx: StageContext) => {
    for (let n = 0; n <= limits.artifactsPerAttempt; n += 1) await ctx.artifact('a', '')
  }
  assert.deepEqual(await codeOf(many), ['fail', 'too_many_artifacts'])
  const greedy = (ctx: StageContext) => {
    for (let n = 0; n < 5; n += 1) void ctx.artifact('a', 'x'.repeat(limits.artifactBytes))
  }
  assert.deepEqual(await codeOf(greedy), ['fail', 'too_many_artifacts'])
})

/** A task before an engine that takes its time, or fails. */
const slowly = (kept: () => Promise<void>): Task => ({
  ...{ input: null, notAfter: Date.now() + 60_000, timeoutMs: 200 },
  fields: { idempotencyKey: 'k', config: {} } as Task['fields'],
  log: { warn() {} } as unknown as Task['log'],
  teller: () => ({ event: () => true, artifact: kept }),
})

test('a task ends when its artifacts cannot be lost any more, within its timeout', async () => {
  const kept = Promise.withResolvers<void>()
  const stage = stageOf((ctx) => void ctx.artifact('a', 'a'))
  let isOver = false
  const running = Promise.resolve(
    runTask(
      stage,
      slowly(() => kept.promise),
    ),
  ).then((result) => {
    isOver = true
    return result
  })
  await new Promise(setImmediate)
  assert.equal(isOver, false)
  kept.resolve()
  assert.equal((await running).outcome.status, 'ok')
  const never = await runTask(
    stage,
    slowly(() => new Promise(() => {})),
    { graceMs: 10 },
  )
  assert.equal('error' in never.outcome && never.outcome.error.code, 'timeout')
  const refused = await runTask(
    stage,
    slowly(() => Promise.reject(new Error('Kafka is away'))),
  )
  assert.equal(refused.outcome.status, 'retry')
})

test('a task of a batch fails alone where its artifact cannot be kept', async () => {
  const stage = defineStage({
    name: 'bulk',
    version: '1.0.0',
    batch: { max: 3, waitMs: 1 },
    runBatch(inputs, contexts) {
      contexts.forEach((ctx, n) => void ctx.artifact(n === 1 ? '' : 'fine', 'a'))
      return inputs
    },
  })
  const results = await testStage(stage).runBatch([1, 2, 3])
  assert.deepEqual(
    results.map(({ outcome }) => outcome.status),
    ['ok', 'fail', 'ok'],
  )
})
