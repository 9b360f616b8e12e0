import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { StageKind } from '@weir/contracts'
import fc from 'fast-check'
import { defineStage } from './define-stage.ts'
import type { Interceptor } from './interceptor.ts'
import { Permanent, Transient } from './task-errors.ts'
import { testStage } from './test-stage.ts'

function run(
  interceptors: readonly Interceptor[],
  handler: () => unknown = () => 'done',
  kind: StageKind = 'transform',
) {
  const definition = { name: 'some', version: '1.0.0', kind, interceptors, run: handler }
  return testStage(defineStage(definition)).run(1)
}

const fail = () => {
  throw new Error('boom')
}

test('a thousand orders of registration give one order of calls', async () => {
  const trace: string[] = []
  const traced = (priority: number): Interceptor => {
    const name = `i${priority}`
    return {
      name,
      priority: Math.floor(priority / 2),
      before: () => void trace.push(`before ${name}`),
      after: () => void trace.push(`after ${name}`),
      onError: () => void trace.push(`error ${name}`),
    }
  }
  const numbers = [0, 1, 2, 3, 4, 5, 6]
  const there = numbers.map((n) => `before i${n}`)
  const back = numbers.toReversed().flatMap((n) => [`error i${n}`, `after i${n}`])
  await fc.assert(
    fc.asyncProperty(fc.shuffledSubarray(numbers, { minLength: 7 }), async (order) => {
      trace.length = 0
      await run(order.map(traced), fail)
      assert.deepEqual(trace, [...there, ...back])
    }),
    { numRuns: 1_000 },
  )
})

test('an interceptor that throws is logged and does no harm', async () => {
  const { outcome, logs } = await run([
    { name: 'a', priority: 1, before: fail, after: fail },
    { name: 'b', priority: 2, before: async () => fail() },
  ])
  assert.equal(outcome.status, 'ok')
  assert.equal(logs.filter((line) => line.msg === 'interceptor failed').length, 3)
})

test('a critical interceptor that throws fails the task', async () => {
  let calls = 0
  const handler = () => {
    calls += 1
  }
  const before = await run([{ name: 'a', priority: 1, critical: true, before: fail }], handler)
  assert.equal(before.outcome.status, 'retry')
  assert.equal(calls, 0)
  const deny = () => {
    throw new Permanent('denied', 'not you')
  }
  const after = await run([{ name: 'a', priority: 1, critical: true, after: deny }], handler)
  assert.equal(after.outcome.status, 'fail')
  assert.equal(calls, 1)
})

test('an interceptor that does not return is passed after a second', async () => {
  const { outcome, logs } = await run([
    { name: 'a', priority: 1, before: () => new Promise(() => {}) },
  ])
  assert.equal(outcome.status, 'ok')
  assert.equal(logs.length, 1)
})

test('a short-circuit says its outcome, and only those that were entered are left', async () => {
  const trace: string[] = []
  const outer: Interceptor = { name: 'outer', priority: 1, after: (o) => trace.push(o.status) }
  const inner: Interceptor = { name: 'inner', priority: 3, after: () => trace.push('inner') }
  const answers: [object, string][] = [
    [{ status: 'ok', output: 5 }, 'ok'],
    [{ status: 'skip', reason: 'known' }, 'skip'],
    [{ status: 'cancel', reason: 'over' }, 'cancel'],
    [{ status: 'fail', error: { code: 'no', message: '' } }, 'fail'],
    [{ status: 'retry', error: { code: 'busy', message: '' }, retryAfterMs: 5 }, 'retry'],
    [{ output: 5 }, 'fail'],
    [{ status: 'done' }, 'fail'],
  ]
  for (const [answer, expected] of answers) {
    trace.length = 0
    const { outcome } = await run(
      [outer, inner, { name: 'middle', priority: 2, before: () => answer as never }],
      () => assert.fail('the handler ran'),
    )
    assert.equal(outcome.status, expected)
    assert.deepEqual(trace, [expected])
  }
})

test('an error action replaces the failure: retry, fallback or fail', async () => {
  const on = (answer: object, kind?: StageKind) =>
    run([{ name: 'a', priority: 1, onError: () => answer as never }], fail, kind)
  const retried = await on({ action: 'retry', retryAfterMs: 7 })
  assert.equal(retried.outcome.status === 'retry' && retried.outcome.retryAfterMs, 7)
  const fallen = await on({ action: 'fallback', output: { stale: true } })
  assert.equal(fallen.outcome.status === 'ok' && fallen.outcome.json, '{"stale":true}')
  const failed = await on({ action: 'fail', code: 'no', message: 'never' })
  assert.equal(failed.outcome.status === 'fail' && failed.outcome.error.code, 'no')
  const unknown = await on({ action: 'ignore' })
  assert.equal(unknown.outcome.status === 'fail' && unknown.outcome.error.class, 'contract')
})

test('a guard fails closed: no fallback lets pass what could not be decided', async () => {
  const fallback = { action: 'fallback', output: true } as const
  const { outcome } = await run(
    [{ name: 'a', priority: 1, onError: () => fallback }],
    () => {
      throw new Transient('down', 'the list of the denied does not answer')
    },
    'guard',
  )
  assert.equal(outcome.status, 'retry')
})

test('two interceptors of one name are refused', () => {
  const twice = [1, 2].map((priority) => ({ name: 'a', priority }))
  assert.throws(() => run(twice), /"a" is there twice/)
})
