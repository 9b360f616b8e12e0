import type { TaskError } from './states.ts'

/**
 * What stages say on `weir.events`: reports of tasks, many per record, one record per partition and
 * flush. The partition is that of the job's id (`partitionFor(job, n)`).
 */
export type TransitionRecord = {
  readonly v: 1
  readonly stage: string
  readonly instance: string
  readonly runs: readonly RunReports[]
}

/** Reports of one flush for one run and step; what they share is said once. */
export type RunReports = {
  readonly tenant: string
  readonly job: string
  readonly run: number
  readonly plan: string
  readonly notAfter: number
  readonly correlation: string
  /** The ticket's tag for the ledger, with its key id: `<keyId>=<tag>`. */
  readonly tag: string
  /** Context of the last task's span, for the ledger's own span. */
  readonly traceparent: string
  readonly step: string
  readonly tasks: readonly TaskReport[]
}

/**
 * What became of a task.
 * - `completed`, `skipped`, `failed`, `cancelled`: decided; the first report of a task wins.
 * - `retry`: an attempt failed and the next one is written down.
 * - `started`: only where it adds something (a task that has been running for a second).
 * - `progress`: how far the handler says it has come, at most one a second of a task.
 */
export type ReportStatus =
  | 'completed'
  | 'skipped'
  | 'failed'
  | 'cancelled'
  | 'retry'
  | 'started'
  | 'progress'

export type TaskReport = {
  readonly item: string
  readonly status: ReportStatus
  readonly attempt: number
  /** Epoch milliseconds. */
  readonly at: number
  /** Between the record's arrival and the start of the work; between its start and end. */
  readonly waitMs?: number
  readonly workMs?: number
  /** Digest of the output, where there is one. */
  readonly digest?: string
  /** The output as JSON text, up to `limits.inlineOutputBytes`; a larger one comes as a payload record. */
  readonly output?: string
  readonly outputBytes?: number
  /** For a step with `each` edges: the elements sent, or the marker sent in their place. */
  readonly fanOut?: {
    readonly marker: 'items' | 'empty' | 'skipped' | 'failed'
    readonly count: number
  }
  /** For a route: the names of the branches taken. */
  readonly taken?: readonly string[]
  /** Messages that this task ran on: edge index, item path, digest. Only of edges with one message not written first, and of joins. */
  readonly took?: readonly (readonly [edge: number, item: string, digest: string])[]
  /** For a join that did not wait for all: edges, or items of a gather edge, that it does without. */
  readonly missing?: readonly (readonly [edge: number, item: string])[]
  readonly error?: TaskError
  readonly reason?: string
  /** Skipped because something before it had failed. */
  readonly failedBefore?: boolean
  /** `retry` only: earliest time of the next attempt. */
  readonly retryAt?: number
  /** `progress` only; `n` counts those of an attempt from 1. */
  readonly progress?: TaskProgress
}

export type TaskProgress = {
  readonly n: number
  readonly done: number
  readonly total?: number
}

/** A missing gather edge as a whole, where the number of its items is not known. */
export const ALL_ITEMS = '*'

/** A large output, in an event record of its own; headers of the record. */
export const PAYLOAD_HEADERS = {
  kind: 'weir-payload',
  tenant: 'weir-tenant',
  job: 'weir-job',
  run: 'weir-run',
  plan: 'weir-plan',
  notAfter: 'weir-not-after',
  tag: 'weir-tag',
  step: 'weir-step',
  item: 'weir-item',
  digest: 'weir-digest',
} as const

/**
 * `weir.changes`: what the ledger has just committed, and the hints that jobs were queued, or runs
 * are to be cancelled. Hints: lost or doubled ones do no harm.
 */
export type ChangeRecord =
  | { readonly v: 1; readonly kind: 'queued'; readonly count: number }
  // `runs` for a dispatcher of before: it takes all but `queued` for a list of runs.
  | {
      readonly v: 1
      readonly kind: 'cancelling'
      readonly count: number
      readonly runs: readonly []
    }
  | {
      readonly v: 1
      readonly kind: 'runs'
      readonly runs: readonly RunChange[]
    }

export type RunChange = {
  readonly job: string
  readonly run: number
  /** Number of the run's latest event: an older change is ignored. */
  readonly seq: number
  readonly ended: boolean
  /** Absolute: messages of the run that each stage still has to do; absent where ended. */
  readonly held?: Readonly<Record<string, number>>
}
