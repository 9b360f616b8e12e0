import type { ErrorClass, JobStatus, StepStatus } from '@weir/contracts'

export type JobError = {
  readonly code: string
  readonly message: string
  readonly step?: string
  readonly item?: string
  readonly attempts?: number
  readonly class: ErrorClass
}

export type ItemCounts = {
  readonly total: number
  readonly completed: number
  readonly skipped: number
  readonly failed: number
}

export type JobStep = {
  readonly stage: string
  readonly kind?: string | null
  readonly status: StepStatus
  readonly attempts: number
  readonly waitMs: number
  readonly workMs: number
  readonly startedAt: string | null
  readonly finishedAt: string | null
  readonly error: JobError | null
  /** Why it was skipped or cancelled. */
  readonly reason?: string | null
  /** Only inside a fan-out. */
  readonly items?: ItemCounts
  /** Only with `include: ['outputs']`. */
  readonly output?: unknown
  readonly diverged?: true
}

export type JobRun = {
  readonly run: number
  readonly status: JobStatus
  readonly traceId?: string | null
  readonly cause: string
}

export type WaitingFor = {
  readonly kind: 'quota' | 'limit' | 'stage_not_ready' | 'gate' | 'retry' | 'join' | 'approval'
  readonly detail: string
  readonly stage?: string
  readonly until?: string
}

/** A job as lists show it. Times are RFC 3339 in UTC. */
export type JobSummary = {
  readonly id: string
  readonly pipeline: string
  readonly version: number
  readonly run: number
  readonly status: JobStatus
  readonly priority: number
  readonly tags: Readonly<Record<string, string>>
  readonly orderingKey: string | null
  readonly correlationId: string | null
  readonly traceId: string | null
  readonly submittedAt: string
  readonly dispatchedAt: string | null
  readonly finishedAt: string | null
  readonly error: JobError | null
}

export type Job = JobSummary & {
  readonly notAfter: string | null
  readonly result: unknown
  /** Who asked to cancel it; absent where nobody has. */
  readonly cancel?: {
    readonly requestedAt: string
    /** `key:<id>`, or `operator`. */
    readonly actor: string
    readonly reason: string | null
  }
  readonly input?: unknown
  readonly waitingFor: WaitingFor | null
  readonly steps: Readonly<Record<string, JobStep>>
  readonly runs: readonly JobRun[]
  readonly links: { readonly self: string; readonly events: string; readonly trace?: string }
}

/** Something that a handler has made, beside its output. */
export type JobArtifact = {
  /** Number of its event. */
  readonly seq: number
  readonly run: number
  readonly at: string
  readonly step: string
  readonly item?: string
  readonly attempt: number
  readonly name: string
  readonly mediaType: string
  readonly bytes: number
  readonly digest: string
  /** False where the run already kept as many bytes as it may. */
  readonly kept: boolean
  /** Path of its content. */
  readonly content: string
}

/** What one job is submitted with. */
export type JobRequest = {
  readonly input: unknown
  /** 0–255; 128. */
  readonly priority?: number
  readonly deadlineMs?: number
  readonly orderingKey?: string
  readonly correlationId?: string
  readonly tags?: Readonly<Record<string, string>>
  /** Version of the pipeline; the current one. */
  readonly version?: number
}
