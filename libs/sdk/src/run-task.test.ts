import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { TaskAbort } from './abort.ts'
import { systemClock } from './clock.ts'
import type { StageContext } from './context.ts'
import { defineStage } from './define-stage.ts'
import type { StageDefinition } from './stage.ts'
import { testStage } from './test-stage.ts'

const stageOf = (run: NonNullable<StageDefinition['run']>, more: Partial<StageDefinition> = {}) =>
  testStage(defineStage({ name: 'some', version: '1.0.0', ...more, run }))

/** A handler that waits until its signal is aborted, then throws the reason, as `fetch` does. */
const obedient = (_: unknown, ctx: StageContext) =>
  new Promise<never>((_resolve, reject) => {
    ctx.signal.addEventListener('abort', () => reject(ctx.signal.reason), { once: true })
  })

const deaf = () => new Promise<never>(() => {})

test('a handler over its timeout is aborted and tried again', async () => {
  const { outcome, isDetached } = await stageOf(obedient).run(1, { timeoutMs: 20 })
  assert.equal(outcome.status, 'retry')
  assert.equal(outcome.error.code, 'timeout')
  assert.equal(outcome.error.class, 'transient')
  assert.equal(isDetached, false)
})

test('a handler that ignores the abort is detached after the grace time', async () => {
  const startedAt = Date.now()
  const result = await stageOf(deaf).run(1, { timeoutMs: 20, graceMs: 30 })
  assert.equal(result.outcome.status, 'retry')
  assert.equal(result.isDetached, true)
  assert.ok(Date.now() - startedAt >= 45)
})

test('what a handler returns after its timeout is refused', async () => {
  const late = async (_: unknown, ctx: StageContext) => {
    await new Promise((resolve) => ctx.signal.addEventListener('abort', resolve))
    return 'late'
  }
  const { outcome } = await stageOf(late).run(1, { timeoutMs: 20 })
  assert.equal(outcome.status, 'retry')
  assert.equal(outcome.error.code, 'timeout')
})

test('a handler that never yields is late all the same', async () => {
  const spin = () => {
    const endsAt = Date.now() + 30
    while (Date.now() < endsAt);
    return 'late'
  }
  const { outcome } = await stageOf(spin).run(1, { timeoutMs: 10 })
  assert.equal(outcome.status, 'retry')
})

test('the end of the run is no reason to try again', async () => {
  const { outcome } = await stageOf(obedient).run(1, { notAfter: Date.now() + 20 })
  assert.equal(outcome.status, 'fail')
  assert.equal(outcome.error.class, 'deadline')
})

test('a task that is over before it starts does not start', async () => {
  let calls = 0
  const count = () => {
    calls += 1
  }
  const past = await stageOf(count).run(1, { notAfter: Date.now() - 1 })
  assert.equal(past.outcome.status, 'fail')
  const signal = AbortSignal.abort(new TaskAbort('shutdown'))
  const stopped = await stageOf(count).run(1, { signal })
  assert.equal(stopped.outcome.status, 'retry')
  assert.equal(calls, 0)
})

test('a cancelled run ends its handler at once and counts no result', async () => {
  const controller = new AbortController()
  const finishing = async (_: unknown, ctx: StageContext) => {
    const aborted = new Promise((resolve) => ctx.signal.addEventListener('abort', resolve))
    controller.abort(new TaskAbort('cancelled'))
    await aborted
    return 'done'
  }
  const { outcome } = await stageOf(finishing).run(1, { signal: controller.signal })
  assert.equal(outcome.status, 'fail')
  assert.equal(outcome.error.class, 'cancelled')
})

test('work that ends while the instance stops counts, work cut short is done again', async () => {
  for (const [handler, expected] of [
    [async () => 'done', 'ok'],
    [obedient, 'retry'],
  ] as const) {
    const controller = new AbortController()
    const stage = stageOf((input, ctx) => {
      const result = handler(input, ctx)
      controller.abort(new TaskAbort('shutdown'))
      return result
    })
    const { outcome } = await stage.run(1, { signal: controller.signal })
    assert.equal(outcome.status, expected)
  }
})

test('the deadline counts down, to the timeout or to the end of the run', async () => {
  let now = 1_000
  const clock = { ...systemClock, now: () => now }
  const stage = stageOf((_, ctx) => {
    const before = ctx.deadline
    now += 20
    return [before, ctx.deadline]
  })
  const timeout = await stage.run(1, { clock, timeoutMs: 500 })
  assert.equal(timeout.outcome.status === 'ok' && timeout.outcome.json, '[500,480]')
  const notAfter = await stage.run(1, { clock, timeoutMs: 500, notAfter: now + 50 })
  assert.equal(notAfter.outcome.status === 'ok' && notAfter.outcome.json, '[50,30]')
})

test('thirty of thirty cleanups run, last first, however the task ends', async () => {
  const endings = {
    ok: () => 'done',
    fail: () => {
      throw new Error('boom')
    },
    timeout: obedient,
    detached: deaf,
  }
  for (const ending of Object.values(endings)) {
    const ran: number[] = []
    const stage = stageOf((input, ctx) => {
      for (let i = 0; i < 30; i += 1) {
        ctx.onCleanup(async () => {
          ran.push(i)
          if (i % 3 === 0) throw new Error('this one fails')
          if (i === 20) await deaf()
        })
      }
      return ending(input, ctx)
    })
    const result = await stage.run(1, { timeoutMs: 30, graceMs: 10, cleanupMs: 30 })
    assert.deepEqual(
      ran,
      Array.from({ length: 30 }, (_, i) => 29 - i),
    )
    const count = (status: string) => result.cleanups.filter((c) => c.status === status).length
    assert.deepEqual([count('done'), count('failed'), count('late')], [19, 10, 1])
    assert.equal(result.logs.filter((line) => line.msg === 'cleanup failed').length, 11)
  }
})

test('what a detached handler takes after its task was cleaned up is given back at once', async () => {
  let release = () => {}
  const held = new Promise<void>((resolve) => {
    release = resolve
  })
  const cleaned = new Promise<void>((resolve) => {
    const stage = stageOf(async (_, ctx) => {
      await held
      ctx.onCleanup(resolve)
    })
    stage.run(1, { timeoutMs: 10, graceMs: 10 }).then(release, release)
  })
  await cleaned
})

test('inputs are frozen, all the way down', async () => {
  await fc.assert(
    fc.asyncProperty(fc.jsonValue({ maxDepth: 4 }), async (input) => {
      const isFrozen = (value: unknown): boolean =>
        typeof value !== 'object' ||
        value === null ||
        (Object.isFrozen(value) && Object.values(value).every(isFrozen))
      const { outcome } = await stageOf((given) => isFrozen(given)).run(input)
      assert.equal(outcome.status === 'ok' && outcome.output, true)
    }),
    { numRuns: 50 },
  )
})

test('writing to the input throws, and so to the configuration', async () => {
  for (const write of [
    (input: { a: { b: number } }) => {
      input.a.b = 2
    },
    (_: unknown, ctx: StageContext) => {
      ;(ctx.config as { deep: { x: number } }).deep.x = 2
    },
  ]) {
    const { outcome } = await stageOf(write as never).run(
      { a: { b: 1 } },
      { config: { deep: { x: 1 } } },
    )
    assert.equal(outcome.status, 'retry')
    assert.match(outcome.error.message, /read only/)
  }
})

test('a join may read its edges and nothing else', async () => {
  const join = {
    names: ['locate', 'score'],
    missing: [{ name: 'score', reason: 'skipped' }],
  } as const
  const run = (read: string) =>
    stageOf((inputs) => (inputs as Record<string, unknown>)[read] ?? 'nothing').run(
      { locate: 1 },
      { join },
    )
  const [there, missing, undeclared] = await Promise.all(['locate', 'score', 'split'].map(run))
  assert.equal(there?.outcome.status === 'ok' && there.outcome.output, 1)
  assert.equal(missing?.outcome.status === 'ok' && missing.outcome.output, 'nothing')
  assert.equal(undeclared?.outcome.status, 'fail')
  assert.match(JSON.stringify(undeclared), /undeclared_input.*\\"split\\"/)
  const all = await stageOf((inputs) => ({ ...(inputs as object) })).run({ locate: 1 }, { join })
  assert.equal(all.outcome.status === 'ok' && all.outcome.json, '{"locate":1}')
})

test('a stage with runBatch gives one outcome per input', async () => {
  const stage = testStage(
    defineStage({
      name: 'some',
      version: '1.0.0',
      batch: { max: 10 },
      runBatch: (inputs, ctxs) =>
        inputs.map((input, i) => {
          if (Number(input) % 3 === 0) return new Error(`not ${input}`)
          return input === 4 ? ctxs[i]?.skip('four') : Number(input) * 2
        }),
    }),
  )
  const results = await stage.runBatch([1, 2, 3, 4, 5, 6, 7, 8, 9, 10])
  assert.deepEqual(
    results.map(({ outcome }) => (outcome.status === 'ok' ? outcome.output : outcome.status)),
    [2, 4, 'retry', 'skip', 10, 'retry', 14, 16, 'retry', 20],
  )
})

test('an input of a batch that its contract refuses does not touch the others', async () => {
  const stage = testStage(
    defineStage({
      name: 'some',
      version: '1.0.0',
      input: { type: 'number' },
      runBatch: (inputs) => inputs.map(() => inputs.length),
    }),
  )
  const results = await stage.runBatch([1, 'two', 3])
  assert.deepEqual(
    results.map(({ outcome }) => (outcome.status === 'ok' ? outcome.output : outcome.status)),
    [2, 'fail', 2],
  )
})

test('a batch that throws fails each input, a wrong number of results is a contract error', async () => {
  const batchOf = (runBatch: () => never[]) =>
    testStage(defineStage({ name: 'some', version: '1.0.0', runBatch })).runBatch([1, 2, 3])
  const thrown = await batchOf(() => {
    throw new Error('boom')
  })
  assert.deepEqual(
    thrown.map(({ outcome }) => outcome.status),
    ['retry', 'retry', 'retry'],
  )
  for (const wrong of [[], [1, 2], [1, 2, 3, 4], 'abc', undefined]) {
    const results = await batchOf(() => wrong as never[])
    for (const { outcome } of results) {
      assert.equal(outcome.status === 'fail' && outcome.error.code, 'batch_mismatch')
    }
  }
})

test('a task of a batch that is cancelled leaves the others their results', async () => {
  const batch = defineStage({
    name: 'some',
    version: '1.0.0',
    runBatch: async (inputs, ctxs) => {
      cancelled.abort(new TaskAbort('cancelled'))
      assert.equal(ctxs[0]?.signal.aborted, true)
      assert.equal(ctxs[1]?.signal.aborted, false)
      return inputs.map(() => 'done')
    },
  })
  const cancelled = new AbortController()
  const { runBatchTasks } = await import('./run-task.ts')
  const { pino } = await import('pino')
  const task = {
    input: 1,
    fields: {
      tenant: 't',
      job: 'j',
      run: 1,
      pipeline: 'p',
      step: 's',
      item: '',
      attempt: 1,
      correlationId: 'c',
      idempotencyKey: 'k',
      priority: 128,
      isReplay: false,
      config: {},
    },
    notAfter: Date.now() + 60_000,
    timeoutMs: 1_000,
    log: pino({ level: 'silent' }),
  }
  const results = await runBatchTasks(batch, [{ ...task, signal: cancelled.signal }, task])
  assert.deepEqual(
    results.map(({ outcome }) => outcome.status),
    ['fail', 'ok'],
  )
})
