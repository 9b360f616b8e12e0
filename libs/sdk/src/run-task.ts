import { type Attempt, closeAttempt, GRACE_MS, openAttempt } from './attempt.ts'
import { type Clock, systemClock } from './clock.ts'
import type { Stage } from './stage.ts'
import type { RunOptions, Task, TaskResult } from './task.ts'
import type { Settled } from './to-outcome.ts'

/**
 * Runs a handler for one attempt of one task: input contract, interceptors, handler under its
 * timeout, output contract, cleanups. Never rejects. Takes at most the timeout, the grace time, one
 * second for each call of an interceptor and the cleanups' deadlines.
 */
export async function runTask(
  stage: Stage,
  task: Task,
  options: RunOptions = {},
): Promise<TaskResult> {
  const { clock = systemClock, graceMs = GRACE_MS } = options
  const opened = openAttempt(stage, task, options)
  const attempt = opened instanceof Promise ? await opened : opened
  if (attempt.decided !== null) return notRun(await closeAttempt(stage, attempt, null, options))
  const startedAt = clock.now()
  const handler = callHandler(stage, [attempt])
  const settled = await waitForHandler(clock, [attempt], handler, graceMs)
  const workMs = clock.now() - startedAt
  const closing = closeAttempt(stage, attempt, settled?.[0] ?? null, options)
  const { outcome, cleanups } = closing instanceof Promise ? await closing : closing
  return { outcome, cleanups, workMs, detached: settled === null ? handler.then(() => {}) : null }
}

const notRun = (closed: Pick<TaskResult, 'outcome' | 'cleanups'>): TaskResult => ({
  ...closed,
  workMs: 0,
  detached: null,
})

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
  const startedAt = clock.now()
  const handler = live.length === 0 ? Promise.resolve([]) : callHandler(stage, live)
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

/** Never rejects: one `Settled` per attempt. */
async function callHandler(stage: Stage, live: readonly Attempt[]): Promise<readonly Settled[]> {
  const { handler } = stage
  try {
    if (handler.type === 'single') {
      const [only] = live
      if (only === undefined || live.length > 1) {
        return live.map(() => ({ violated: 'it takes one input at a time' }))
      }
      return [{ returned: await handler.run(only.input, only.ctx) }]
    }
    const returned = await handler.run(
      live.map(({ input }) => input),
      live.map(({ ctx }) => ctx),
    )
    if (!Array.isArray(returned)) return live.map(() => ({ violated: 'runBatch returned no list' }))
    if (returned.length !== live.length) {
      const counts = `${returned.length} results for ${live.length} inputs`
      return live.map(() => ({ violated: `runBatch returned ${counts}` }))
    }
    return live.map((_, i) => ({ returned: returned[i] }))
  } catch (thrown) {
    return live.map(() => ({ thrown }))
  }
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
