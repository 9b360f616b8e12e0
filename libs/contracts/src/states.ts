export const JOB_STATUSES = [
  'queued',
  'running',
  'cancelling',
  'completed',
  'completed_with_failures',
  'failed',
  'cancelled',
  'dropped',
] as const
export type JobStatus = (typeof JOB_STATUSES)[number]

const TERMINAL_STATUSES = [
  'completed',
  'completed_with_failures',
  'failed',
  'cancelled',
  'dropped',
] as const
export type TerminalStatus = (typeof TERMINAL_STATUSES)[number]

export function isTerminal(status: string): status is TerminalStatus {
  return (TERMINAL_STATUSES as readonly string[]).includes(status)
}

export const STEP_STATUSES = [
  'pending',
  'running',
  'completed',
  'skipped',
  'failed',
  'cancelled',
  'dropped',
] as const
export type StepStatus = (typeof STEP_STATUSES)[number]

export const STAGE_STATES = [
  'created',
  'launched',
  'active',
  'deactivated',
  'terminating',
  'terminated',
] as const
export type StageState = (typeof STAGE_STATES)[number]

export const STAGE_KINDS = ['transform', 'enrich', 'route', 'guard', 'work', 'agent'] as const
export type StageKind = (typeof STAGE_KINDS)[number]

export const LANES = ['high', 'normal'] as const
export type Lane = (typeof LANES)[number]

/** Bands of priority, lowest first; a job's `priority` 0–255 falls into one (features.md S3-09). */
export const BANDS = ['low', 'normal', 'high', 'system'] as const
export type Band = (typeof BANDS)[number]

/** Band of a priority: 0–63 low, 64–159 normal, 160–223 high, 224–255 system. */
export function bandOf(priority: number): 0 | 1 | 2 | 3 {
  if (priority < 64) return 0
  if (priority < 160) return 1
  if (priority < 224) return 2
  return 3
}

/** Jobs of the two upper bands travel in the `high` lane. */
export function laneOf(priority: number): Lane {
  return priority >= 160 ? 'high' : 'normal'
}

export const FAILURE_MODES = ['fail_fast', 'continue', 'best_effort'] as const
export type FailureMode = (typeof FAILURE_MODES)[number]

export const ERROR_CLASSES = [
  'transient',
  'permanent',
  'contract',
  'overload',
  'deadline',
  'cancelled',
  'poison',
] as const
export type ErrorClass = (typeof ERROR_CLASSES)[number]

/** What went wrong in a task, safe to show to its tenant. */
export type TaskError = {
  readonly code: string
  readonly message: string
  readonly class: ErrorClass
}

export const ROLES = ['operator', 'admin', 'developer', 'submitter', 'viewer'] as const
export type Role = (typeof ROLES)[number]
