import { abortKindOf, TaskAbort } from './abort.ts'
import { Aborter } from './aborter.ts'
import { buildContext } from './build-context.ts'
import { abortFailure, contractFailure, messageOf } from './classify.ts'
import { Cleanups } from './cleanups.ts'
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
import type { Told } from './told.ts'

export const GRACE_MS = 1_000

/**
 * An attempt between its opening and its closing. A class, as there is one for each message:
 * functions made anew for each were half of what opening it cost.
 */
export class Attempt {
  readonly task: Task
  readonly aborter: Aborter
  readonly cleanups: Cleanups
  /** Epoch milliseconds; a result that comes later is refused. */
  readonly endsAt: number
  readonly ctx: StageContext
  /** Checked and frozen. */
  input: unknown = undefined
  entered: Entered = NOT_ENTERED
  /** What its handler has told; made by the first word. */
  told: Told | undefined = undefined
  /** Decided before the handler ran: it must not. */
  decided: Outcome | null = null
  readonly #clock: Clock
  #stopTimer: (() => void) | undefined
  #follow: (() => void) | undefined

  constructor(stage: Stage, task: Task, clock: Clock, cleanupMs: number | undefined) {
    const now = clock.now()
    this.task = task
    this.#clock = clock
    this.endsAt = Math.min(now + task.timeoutMs, task.notAfter)
    this.aborter = task.aborter ?? new Aborter()
    this.cleanups = new Cleanups(clock, cleanupMs)
    this.ctx = buildContext(stage, task, clock, this.endsAt, this.aborter, this.cleanups, this)
    const { signal } = task
    if (signal?.aborted) this.aborter.abort(signal.reason)
    else if (this.endsAt <= now) this.expire()
    else if (signal !== undefined) {
      this.#follow = () => this.aborter.abort(signal.reason)
      signal.addEventListener('abort', this.#follow, { once: true })
    }
  }

  /** How it was aborted; null where it was not. */
  get failure(): Outcome | null {
    const { aborter, task } = this
    return aborter.isAborted ? abortFailure(abortKindOf(aborter.reason), task.timeoutMs) : null
  }

  /** Ends the attempt as its timer would. */
  expire(): void {
    this.aborter.abort(new TaskAbort(this.endsAt === this.task.notAfter ? 'deadline' : 'timeout'))
  }

  /** To be called before anything is waited for; once started it goes on. */
  startTimer(): void {
    const leftMs = Math.max(0, this.endsAt - this.#clock.now())
    this.#stopTimer ??= this.#clock.after(leftMs, () => this.expire())
  }

  /** Takes back timer and listener. */
  stop(): void {
    this.#stopTimer?.()
    if (this.#follow !== undefined) this.task.signal?.removeEventListener('abort', this.#follow)
  }
}

const NOT_ENTERED: Entered = { interceptors: [], shortCircuit: null }

/**
 * Sets the time of an attempt, checks its input and runs the interceptors on the way in. There is
 * something to wait for only where there are interceptors.
 */
export function openAttempt(
  stage: Stage,
  task: Task,
  { clock = systemClock, cleanupMs }: RunOptions,
): Attempt | Promise<Attempt> {
  const attempt = new Attempt(stage, task, clock, cleanupMs)
  attempt.decided = attempt.failure
  if (attempt.decided !== null) return attempt
  if (stage.kind === 'work' && task.fields.idempotencyKey === '') {
    attempt.decided = contractFailure('idempotency_key_missing', `${stage.ref} has effects`)
    return attempt
  }
  const checked = checkInput(stage, task)
  if ('refused' in checked) {
    attempt.decided = checked.refused
    return attempt
  }
  attempt.input = checked.input
  if (stage.interceptors.length === 0) return attempt
  attempt.startTimer()
  return enterInterceptors(stage, attempt.input, attempt.ctx, clock).then((entered) => {
    attempt.entered = entered
    attempt.decided = entered.shortCircuit ?? attempt.failure
    return attempt
  })
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
  if (attempt.entered.interceptors.length > 0 || !attempt.cleanups.isEmpty) {
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
    const message = `${stage.ref}: its input cannot be read (${messageOf(error)})`
    return { refused: contractFailure('input_invalid', message) }
  }
}
