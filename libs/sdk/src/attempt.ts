import { abortKindOf, TaskAbort } from './abort.ts'
import { Aborter } from './aborter.ts'
import { buildContext } from './build-context.ts'
import { abortFailure, contractFailure } from './classify.ts'
import { type Cleanups, createCleanups } from './cleanups.ts'
import { type Clock, systemClock } from './clock.ts'
import type { StageContext } from './context.ts'
import { describeFaults } from './contract.ts'
import { deepFreeze } from './freeze.ts'
import { type Entered, enterInterceptors, leaveInterceptors } from './interceptors.ts'
import { closeInputs } from './join-inputs.ts'
import type { Outcome } from './outcome.ts'
import type { Stage } from './stage.ts'
import type { RunOptions, Task, TaskResult } from './task.ts'
import { finalOutcome, type Settled, toOutcome } from './to-outcome.ts'

export const GRACE_MS = 1_000

/** An attempt between its opening and its closing. */
export type Attempt = {
  readonly task: Task
  readonly ctx: StageContext
  readonly aborter: Aborter
  /** Checked and frozen. */
  readonly input: unknown
  readonly entered: Entered
  /** Decided before the handler ran: it must not. */
  readonly decided: Outcome | null
  readonly cleanups: Cleanups
  /** Epoch milliseconds; a result that comes later is refused. */
  readonly endsAt: number
  /** Ends the attempt as its timer would. */
  expire(): void
  /** Takes back timer and listener. */
  stop(): void
}

const NOT_ENTERED: Entered = { interceptors: [], shortCircuit: null }

/**
 * Starts the time of an attempt, checks its input and runs the interceptors on the way in. There is
 * something to wait for only where there are interceptors.
 */
export function openAttempt(
  stage: Stage,
  task: Task,
  { clock = systemClock, cleanupMs }: RunOptions,
): Attempt | Promise<Attempt> {
  const now = clock.now()
  const endsAt = Math.min(now + task.timeoutMs, task.notAfter)
  const aborter = task.aborter ?? new Aborter()
  const expire = () =>
    aborter.abort(new TaskAbort(endsAt === task.notAfter ? 'deadline' : 'timeout'))
  const follow = () => aborter.abort(task.signal?.reason)
  const stopTimer = clock.after(Math.max(0, endsAt - now), expire)
  if (task.signal?.aborted) follow()
  else if (endsAt <= now) expire()
  else task.signal?.addEventListener('abort', follow, { once: true })

  const cleanups = createCleanups(clock, cleanupMs)
  const ctx = buildContext(stage, task, clock, endsAt, aborter, cleanups)
  const stop = () => {
    stopTimer()
    task.signal?.removeEventListener('abort', follow)
  }
  const attemptOf = (input: unknown, entered: Entered, decided: Outcome | null): Attempt => ({
    task,
    ctx,
    aborter,
    cleanups,
    endsAt,
    expire,
    stop,
    input,
    entered,
    decided,
  })
  const refused = (decided: Outcome) => attemptOf(undefined, NOT_ENTERED, decided)
  const aborted = () =>
    aborter.isAborted ? abortFailure(abortKindOf(aborter.reason), task.timeoutMs) : null

  const over = aborted()
  if (over !== null) return refused(over)
  if (stage.kind === 'work' && task.fields.idempotencyKey === '') {
    return refused(contractFailure('idempotency_key_missing', `${stage.ref} has effects`))
  }
  const checked = checkInput(stage, task)
  if ('refused' in checked) return refused(checked.refused)
  const { input } = checked
  if (stage.interceptors.length === 0) return attemptOf(input, NOT_ENTERED, null)
  return enterInterceptors(stage, input, ctx, clock).then((entered) =>
    attemptOf(input, entered, entered.shortCircuit ?? aborted()),
  )
}

type Closed = Pick<TaskResult, 'outcome' | 'cleanups'>

const NO_CLEANUPS: Closed['cleanups'] = []

/** Turns what the handler did into the outcome; `settled` is null where it did not return. */
export function closeAttempt(
  stage: Stage,
  attempt: Attempt,
  settled: Settled | null,
  options: RunOptions,
): Closed | Promise<Closed> {
  const { clock = systemClock } = options
  const first = attempt.decided ?? decide(stage, attempt, settled, clock)
  attempt.stop()
  if (attempt.entered.interceptors.length > 0 || !attempt.cleanups.isEmpty()) {
    return leaveAttempt(stage, attempt, first, clock)
  }
  // Whoever registers a cleanup from now on is detached: it runs at once.
  void attempt.cleanups.run()
  return { outcome: toFinal(stage, first), cleanups: NO_CLEANUPS }
}

async function leaveAttempt(
  stage: Stage,
  attempt: Attempt,
  first: Outcome,
  clock: Clock,
): Promise<Closed> {
  const left = await leaveInterceptors(stage, attempt.entered, first, attempt.ctx, clock)
  const cleanups = await attempt.cleanups.run()
  for (const report of cleanups) {
    if (report.status !== 'done') {
      attempt.ctx.log.warn({ err: report.error, cleanup: report.status }, 'cleanup failed')
    }
  }
  return { outcome: toFinal(stage, left), cleanups }
}

const toFinal = (stage: Stage, outcome: Outcome): Outcome =>
  outcome.status === 'fail' ? finalOutcome(stage, outcome.error) : outcome

function decide(stage: Stage, attempt: Attempt, settled: Settled | null, clock: Clock): Outcome {
  const { aborter, task } = attempt
  // A handler that never yields keeps the timer from firing; its result is as late as any other.
  if (!aborter.isAborted && clock.now() >= attempt.endsAt) attempt.expire()
  if (!aborter.isAborted && settled !== null) return toOutcome(stage, settled)
  const kind = abortKindOf(aborter.reason)
  if (kind === 'shutdown' && settled !== null) {
    // Work that was done before the instance stops counts; work that was cut short does not.
    const outcome = toOutcome(stage, settled)
    if (outcome.status !== 'retry') return outcome
  }
  return abortFailure(kind, task.timeoutMs)
}

function checkInput(
  stage: Stage,
  { input, fields }: Task,
): { readonly input: unknown } | { readonly refused: Outcome } {
  try {
    const checked = stage.input(input)
    if (checked.ok) return { input: closeInputs(deepFreeze(checked.value), fields.join) }
    const faults = describeFaults(checked.faults)
    return {
      refused: contractFailure('input_invalid', `${stage.ref}: its input is not valid: ${faults}`),
    }
  } catch (error) {
    return {
      refused: contractFailure(
        'input_invalid',
        `${stage.ref}: its input cannot be read (${error})`,
      ),
    }
  }
}
