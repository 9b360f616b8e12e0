import { type Attempt, closeAttempt, GRACE_MS, openAttempt } from './attempt.ts'
import { type Clock, systemClock } from './clock.ts'
import type { Stage } from './stage.ts'
import type { RunOptions, Task, TaskResult } from './task.ts'
import type { Settled } from './to-outcome.ts'

/**
 * Runs a handler for one attempt of one task: input contract, interceptors, handler under its
 * timeout, output contract, cleanups. Never throws or rejects. Takes at most the timeout, the grace
 * time, one second for each call of an interceptor and the cleanups' deadlines. Where nothing had to
 * be waited for, the result is there at once: promises and a timer would cost more than the rest.
 */
export function runTask(
  stage: Stage,
  task: Task,
  options: RunOptions = {},
): TaskResult | Promise<TaskResult> {
  const opened = openAttempt(stage, task, options)
  return opened instanceof Promise
    ? opened.then((attempt) => runAttempt(stage, attempt, options))
    : runAttempt(stage, opened, options)
}

function runAttempt(
  stage: Stage,
  attempt: Attempt,
  options: RunOptions,
): TaskResult | Promise<TaskResult> {
  const { clock = systemClock } = options
  if (attempt.decided !== null) return close(stage, attempt, null, options, 0, null)
  const startedAt = clock.now()
  const called = callHandler(stage, [attempt])
  if (!(called instanceof Promise)) {
    return close(stage, attempt, called[0] ?? null, options, clock.now() - startedAt, null)
  }
  attempt.startTimer()
  return waitForHandler(clock, [attempt], called, options.graceMs ?? GRACE_MS).then((settled) => {
    const detached = settled === null ? called.then(() => {}) : null
    const workMs = clock.now() - startedAt
    return close(stage, attempt, settled?.[0] ?? null, options, workMs, detached)
  })
}

function close(
  stage: Stage,
  attempt: Attempt,
  settled: Settled | null,
  options: RunOptions,
  workMs: number,
  detached: TaskResult['detached'],
): TaskResult | Promise<TaskResult> {
  const closing = closeAttempt(stage, attempt, settled, options)
  if (closing instanceof Promise) return closing.then((closed) => ({ ...closed, workMs, detached }))
  return { outcome: closing.outcome, cleanups: closing.cleanups, workMs, detached }
}

/**
 * Runs the handler for several tasks, for stages with `runBatch`; one result per task, in order. A
 * task that is refused before the handler, or aborted while it runs, does not touch the others. A
 * handler that throws fails each task with that error; a wrong number of results is a contract
 * error of all. Never rejects.
 */
export async function runBatchTasks(
  stage: Stage,
  tasks: readonly Task[],
  options: RunOptions = {},
): Promise<readonly TaskResult[]> {
  const { clock = systemClock, graceMs = GRACE_MS } = options
  const attempts = await Promise.all(tasks.map((task) => openAttempt(stage, task, options)))
  const live = attempts.filter(({ decided }) => decided === null)
  for (const attempt of live) attempt.startTimer()
  const startedAt = clock.now()
  const handler = Promise.resolve(live.length === 0 ? [] : callHandler(stage, live))
  const settled = live.length === 0 ? [] : await waitForHandler(clock, live, handler, graceMs)
  const workMs = clock.now() - startedAt
  const detached = settled === null ? handler.then(() => {}) : null
  const settledOf = new Map(live.map((attempt, i) => [attempt, settled?.[i] ?? null]))
  return Promise.all(
    attempts.map(async (attempt) => ({
      ...(await closeAttempt(stage, attempt, settledOf.get(attempt) ?? null, options)),
      workMs: attempt.decided === null ? workMs : 0,
      detached: attempt.decided === null ? detached : null,
    })),
  )
}

type AllSettled = readonly Settled[]

/** One `Settled` per attempt, at once where the handler returned no promise. Never throws or rejects. */
function callHandler(stage: Stage, live: readonly Attempt[]): AllSettled | Promise<AllSettled> {
  const { handler } = stage
  const end = (settled: AllSettled) => afterTold(live, settled)
  const toThrown = (thrown: unknown): AllSettled => live.map(() => ({ thrown }))
  const toReturned = (returned: unknown) =>
    handler.type === 'single' ? [{ returned }] : toEach(returned, live.length)
  try {
    const [only] = live
    if (handler.type === 'single' && (only === undefined || live.length > 1)) {
      return live.map(() => ({ violated: 'it takes one input at a time' }))
    }
    const returned: unknown =
      handler.type === 'single'
        ? handler.run(only?.input, only?.ctx as Attempt['ctx'])
        : handler.run(
            live.map(({ input }) => input),
            live.map(({ ctx }) => ctx),
          )
    if (!isPromiseLike(returned)) return end(toReturned(returned))
    return Promise.resolve(returned).then(
      (value) => end(toReturned(value)),
      (thrown) => end(toThrown(thrown)),
    )
  } catch (thrown) {
    return end(toThrown(thrown))
  }
}

/** The handler's end, when all that it has told of is told. */
function afterTold(
  live: readonly Attempt[],
  settled: AllSettled,
): AllSettled | Promise<AllSettled> {
  return live.every(({ told }) => told === undefined) ? settled : whenTold(live, settled)
}

async function whenTold(live: readonly Attempt[], settled: AllSettled): Promise<AllSettled> {
  await Promise.all(live.map(({ told }) => told?.settled()))
  return settled.map((each, i) => {
    const failure = live[i]?.told?.failure
    return failure === undefined || 'thrown' in each ? each : { thrown: failure }
  })
}

const isPromiseLike = (value: unknown): value is PromiseLike<unknown> =>
  typeof (value as { then?: unknown } | null | undefined)?.then === 'function'

function toEach(returned: unknown, inputs: number): AllSettled {
  const violated = (what: string): AllSettled =>
    Array.from({ length: inputs }, () => ({ violated: what }))
  if (!Array.isArray(returned)) return violated('runBatch returned no list')
  if (returned.length === inputs) return returned.map((each) => ({ returned: each }))
  return violated(`runBatch returned ${returned.length} results for ${inputs} inputs`)
}

/**
 * Waits for the handler, or until every attempt has been aborted and the grace time is over: then
 * null, and the handler runs on by itself.
 */
function waitForHandler(
  clock: Clock,
  live: readonly Attempt[],
  handler: Promise<readonly Settled[]>,
  graceMs: number,
): Promise<readonly Settled[] | null> {
  return new Promise((resolve) => {
    let running = live.length
    let stopGrace = () => {}
    const onAbort = () => {
      running -= 1
      if (running === 0) stopGrace = clock.after(graceMs, () => resolve(null))
    }
    for (const { aborter } of live) {
      // An attempt may have been aborted while the interceptors of another one were under way.
      if (aborter.isAborted) onAbort()
      else aborter.onAbort(onAbort)
    }
    handler.then((settled) => {
      stopGrace()
      for (const { aborter } of live) aborter.forget()
      resolve(settled)
    }, resolve)
  })
}
