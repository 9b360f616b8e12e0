import type { Span } from '@opentelemetry/api'
import type { Logger } from 'pino'
import type { Aborter } from './aborter.ts'
import type { CleanupReport } from './cleanups.ts'
import type { Clock } from './clock.ts'
import type { Budget, TaskFields } from './context.ts'
import type { Outcome } from './outcome.ts'
import type { TaskTeller } from './told.ts'

/** One attempt of one task. */
export type Task = {
  /** The parsed payload; a join's is the object of its inputs. The task's own: it will be frozen. */
  readonly input: unknown
  readonly fields: TaskFields
  /** Epoch milliseconds; the run's. */
  readonly notAfter: number
  /** The timeout that applies to this step. */
  readonly timeoutMs: number
  /** Aborted by the engine with a `TaskAbort` when the run is over or the instance stops. */
  readonly signal?: AbortSignal
  /** The same without the cost of a signal that the handler may never ask for: one per attempt. */
  readonly aborter?: Aborter
  readonly log: Logger
  /** What the task's own lines carry beside its ids; asked for when its first line is written. */
  readonly logFields?: (() => object) | undefined
  /** The span of this attempt; the active one where nothing is given. */
  readonly span?: Span
  readonly budget?: (name: string) => Budget
  readonly onProgress?: (done: number, total: number | undefined) => void
  /** Asked for when the handler first tells something: most tell nothing. */
  readonly teller?: () => TaskTeller
}

/** What does not differ between tasks; all have defaults. */
export type RunOptions = {
  readonly clock?: Clock
  /** How long a handler has to return after its signal was aborted, before it is detached. */
  readonly graceMs?: number
  /** How long one cleanup is waited for. */
  readonly cleanupMs?: number
}

export type TaskResult = {
  readonly outcome: Outcome
  /** Time in the handler; 0 where it did not run. */
  readonly workMs: number
  readonly cleanups: readonly CleanupReport[]
  /**
   * Set where the handler did not return in its grace time: settles when it does at last. Its
   * result is refused; the engine bounds how many there are.
   */
  readonly detached: Promise<void> | null
}
