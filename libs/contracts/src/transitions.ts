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
 * - `event`, `events_lost`: what the handler says of its work, and what of it was lost on the way.
 * - `artifact`: the handler has made something that is kept with the run.
 */
export type ReportStatus =
  | 'completed'
  | 'skipped'
  | 'failed'
  | 'cancelled'
  | 'retry'
  | 'started'
  | 'progress'
  | 'event'
  | 'events_lost'
  | 'artifact'

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
  /** `event` only. */
  readonly event?: StageEvent
  /** `events_lost` only. */
  readonly lost?: LostEvents
  /** `artifact` only; its content comes right before, as a payload record. */
  readonly artifact?: Artifact
}

export type TaskProgress = {
  readonly n: number
  readonly done: number
  readonly total?: number
}

/** What a handler said of its work; `n` counts events and artifacts of an attempt from 1. */
export type StageEvent = {
  readonly n: number
  readonly name: string
  readonly data?: unknown
}

/** A gap among the events of an attempt: `count` of those numbered `from` to `to`. */
export type LostEvents = {
  readonly from: number
  readonly to: number
  readonly count: number
  readonly reason: LostReason
}

/**
 * Why an event of a handler is not in the log.
 * - `queue_full`: the instance takes fewer than its handlers say; which of them are lost is its policy.
 * - `too_large`: over `limits.eventBytes`. `attempt_full`, `run_full`: over the number that is kept.
 * - `send_failed`: Kafka did not take it in time.
 */
export const LOST_REASONS = [
  'queue_full',
  'too_large',
  'attempt_full',
  'run_full',
  'send_failed',
] as const
export type LostReason = (typeof LOST_REASONS)[number]

/** Something that a handler has made, kept with the run beside the outputs of its steps. */
export type Artifact = {
  readonly n: number
  readonly name: string
  readonly mediaType: string
  readonly bytes: number
  /** `digestOf` its content: it is found by it. */
  readonly digest: string
  /** False where the run already keeps as many bytes as it may: that it was made is all that is known. */
  readonly kept?: false
}

/** A missing gather edge as a whole, where the number of its items is not known. */
export const ALL_ITEMS = '*'

/** A large output, or the content of an artifact, in an event record of its own; headers of the record. */
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

/** What stands in a payload record: an output too large for its report, or an artifact's content. */
export type PayloadKind = 'output' | 'artifact'

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
