import type { TaskReport } from './transitions.ts'

export const JOB_EVENT_TYPES = [
  'job.queued',
  'job.dispatched',
  'task.started',
  'task.progress',
  'task.event',
  'task.events_lost',
  'task.artifact',
  'task.completed',
  'task.skipped',
  'task.failed',
  'task.cancelled',
  'task.retry_scheduled',
  'task.dead_lettered',
  'task.dropped',
  'task.diverged',
  'join.fired',
  'job.cancel_requested',
  'job.rerun',
  'job.completed',
  'job.completed_with_failures',
  'job.failed',
  'job.cancelled',
  'job.dropped',
] as const
export type JobEventType = (typeof JOB_EVENT_TYPES)[number]

/**
 * One entry of a job's event log. Numbered 1..n by the ledger alone; the terminal event is the last
 * of its run. All that is known of a run follows from its events and its plan.
 */
export type JobEvent = {
  readonly seq: number
  readonly run: number
  readonly type: JobEventType
  /** RFC 3339, UTC, milliseconds. */
  readonly at: string
  readonly step?: string
  readonly item?: string
  readonly attempt?: number
  readonly stage?: string
  readonly data: JobEventData
}

/** The members of a task's report that stay in the log, and what other events say. */
export type JobEventData = Partial<
  Pick<
    TaskReport,
    | 'waitMs'
    | 'workMs'
    | 'digest'
    | 'output'
    | 'outputBytes'
    | 'fanOut'
    | 'taken'
    | 'took'
    | 'missing'
    | 'error'
    | 'reason'
    | 'failedBefore'
    | 'retryAt'
    | 'progress'
    | 'event'
    | 'lost'
    | 'artifact'
  >
> & {
  /** Terminal events: the step and item that failed the run. */
  readonly step?: string
  readonly item?: string
  /** Terminal events: steps whose work was no longer needed. */
  readonly superseded?: readonly string[]
  readonly diverged?: true
  readonly cause?: string
  /** `job.cancel_requested` and the end that follows from it: who asked, `key:<id>` or `operator`. */
  readonly actor?: string
  /** `job.rerun`: the tasks that run again; all others keep what was decided in the runs before. */
  readonly again?: readonly (readonly [step: string, items: '*' | readonly string[]])[]
}
