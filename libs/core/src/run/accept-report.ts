import {
  depthOf,
  itemIndex,
  type JobEvent,
  type JobEventData,
  type JobEventType,
  limits,
  type Plan,
  parentItem,
  type ReportStatus,
  type TaskReport,
} from '@weir/contracts'
import { digestCode } from './digest-code.ts'
import { contradicted } from './fold-tasks.ts'
import { indexRun, type RunIndex, type StepIndex } from './run-index.ts'
import {
  type ActiveTask,
  CANCELLED,
  COMPLETED,
  digestCodeOf,
  FAILED,
  OPEN,
  type Outcome,
  outcomeOf,
  type RunState,
  SKIPPED,
  SKIPPED_AFTER_FAILURE,
  type StepState,
} from './run-state.ts'
import { isTold, toldNumber } from './told.ts'

/** An event before the ledger numbers it. */
export type NewEvent = Omit<JobEvent, 'seq'>

/**
 * Why a report decides nothing.
 * - `duplicate`: the task was decided, or this attempt reported, before.
 * - `log_full`: the run has told as much as its log keeps.
 * - `ended`: the run is over. `beyond_count`: an element that the fan-out does not have.
 * - `unknown_step`, `invalid_item`, `invalid_report`: it does not fit the plan.
 */
export type IgnoredReason =
  | 'duplicate'
  | 'log_full'
  | 'ended'
  | 'beyond_count'
  | 'unknown_step'
  | 'invalid_item'
  | 'invalid_report'

export type Acceptance = {
  /** To number, to append and to fold, in this order. */
  readonly events: readonly NewEvent[]
  readonly ignored: IgnoredReason | null
  /** The report shows that a task answered in two ways. */
  readonly diverged: boolean
}

const ignore = (ignored: IgnoredReason): Acceptance => ({ events: [], ignored, diverged: false })

const TYPES: Readonly<Record<ReportStatus, JobEventType>> = {
  completed: 'task.completed',
  skipped: 'task.skipped',
  failed: 'task.failed',
  cancelled: 'task.cancelled',
  retry: 'task.retry_scheduled',
  started: 'task.started',
  progress: 'task.progress',
  event: 'task.event',
  events_lost: 'task.events_lost',
  artifact: 'task.artifact',
}

/** The outcome that a report decides; `OPEN` for what reports no decision. */
export function outcomeOfReport(report: TaskReport): Outcome {
  switch (report.status) {
    case 'completed':
      return COMPLETED
    case 'skipped':
      return report.failedBefore === true ? SKIPPED_AFTER_FAILURE : SKIPPED
    case 'failed':
      return FAILED
    case 'cancelled':
      return CANCELLED
    case 'retry':
    case 'started':
    case 'progress':
    case 'event':
    case 'events_lost':
    case 'artifact':
      return OPEN
  }
}

const ITEM = /^(?:0|[1-9][0-9]{0,4})(?:\.(?:0|[1-9][0-9]{0,4}))*$/

function isItem(item: string, depth: number): boolean {
  if (depth === 0) return item === ''
  return item.length <= 23 && ITEM.test(item) && depthOf(item) === depth
}

/** True where an element, or one that encloses it, is not among those that were sent. */
function isBeyond(state: RunState, index: RunIndex, at: StepIndex, item: string): boolean {
  let path = item
  for (let level = at.depth - 1; level >= 0; level--) {
    const source = at.scope[level] as number
    const element = itemIndex(path)
    path = parentItem(path)
    const count = state.steps[source]?.fan?.get(path)
    const bound = count ?? (index.steps[source]?.itemsMax || limits.fanOutItems)
    if (element >= bound) return true
  }
  return false
}

function timeOf(ms: number): string {
  return new Date(ms).toISOString()
}

/** The members of a report that stay in the log. */
function dataOf(report: TaskReport, withInputs: boolean): JobEventData {
  const data: { -readonly [Key in keyof JobEventData]: JobEventData[Key] } = {}
  if (report.waitMs !== undefined) data.waitMs = report.waitMs
  if (report.workMs !== undefined) data.workMs = report.workMs
  if (report.digest !== undefined) data.digest = report.digest
  if (report.output !== undefined) data.output = report.output
  if (report.outputBytes !== undefined) data.outputBytes = report.outputBytes
  if (report.fanOut !== undefined) data.fanOut = report.fanOut
  if (report.taken !== undefined) data.taken = report.taken
  if (withInputs && report.took !== undefined) data.took = report.took
  if (withInputs && report.missing !== undefined) data.missing = report.missing
  if (report.error !== undefined) data.error = report.error
  if (report.reason !== undefined) data.reason = report.reason
  if (report.failedBefore !== undefined) data.failedBefore = report.failedBefore
  if (report.retryAt !== undefined) data.retryAt = report.retryAt
  if (report.progress !== undefined) data.progress = report.progress
  if (report.event !== undefined) data.event = report.event
  if (report.lost !== undefined) data.lost = report.lost
  if (report.artifact !== undefined) data.artifact = report.artifact
  return data
}

function eventOf(
  state: RunState,
  at: StepIndex,
  report: TaskReport,
  type: JobEventType,
  time: string,
  data: JobEventData,
): NewEvent {
  const { step } = at
  const head = { run: state.run, type, at: time, step: step.name }
  const tail = { attempt: report.attempt, stage: step.stage, data }
  return report.item === '' ? { ...head, ...tail } : { ...head, item: report.item, ...tail }
}

/** A report that counts no more, kept as a mark on its step: once, so that a log stays bounded. */
function mark(
  state: RunState,
  at: StepIndex,
  report: TaskReport,
  time: string,
  ignored: IgnoredReason,
): Acceptance {
  if (state.steps[at.position]?.diverged === true) return { events: [], ignored, diverged: true }
  const data: JobEventData = {
    diverged: true,
    reason:
      ignored === 'beyond_count' ? 'beyond the reported count' : 'reported twice, differently',
    ...(report.digest === undefined ? {} : { digest: report.digest }),
  }
  return {
    events: [eventOf(state, at, report, 'task.diverged', time, data)],
    ignored,
    diverged: true,
  }
}

function differs(step: StepState, depth: number, report: TaskReport, outcome: Outcome): boolean {
  if (outcomeOf(step, depth, report.item) !== outcome) return true
  const digest = digestCodeOf(step, depth, report.item)
  return digest !== 0 && report.digest !== undefined && digest !== digestCode(report.digest)
}

/**
 * Of one attempt come `started`, each `progress`, each event or artifact once, and `retry`; all else
 * was said or overtaken.
 */
function isNews(active: ActiveTask | undefined, report: TaskReport): boolean {
  const told = toldNumber(report)
  if (told === undefined) return false
  const { status, attempt } = report
  if (active === undefined || attempt > active.attempt) return true
  if (attempt < active.attempt || active.kind !== 'started') return false
  if (status === 'progress') return told > active.told
  return status === 'retry' || (isTold(report) && told > active.noted)
}

/**
 * What a handler tells, as far as the run's log has room: the first that has none leaves a mark in
 * its place. An artifact for which there are no bytes left is told of, and not kept.
 */
function acceptTold(state: RunState, at: StepIndex, report: TaskReport, time: string): Acceptance {
  const room = limits.toldPerRun - state.told
  if (room < 0) return ignore('log_full')
  const toEvent = (type: JobEventType, data: JobEventData) =>
    eventOf(state, at, report, type, time, data)
  if (room === 0) {
    const n = toldNumber(report) as number
    const lost = { from: n, to: n, count: 1, reason: 'run_full' } as const
    return {
      events: [toEvent('task.events_lost', { lost })],
      ignored: 'log_full',
      diverged: false,
    }
  }
  const { artifact } = report
  const isOver =
    artifact !== undefined &&
    !state.artifacts.has(artifact.digest) &&
    state.artifactBytes + artifact.bytes > limits.keptArtifactBytesPerRun
  const data = isOver ? { artifact: { ...artifact, kept: false as const } } : dataOf(report, false)
  return { events: [toEvent(TYPES[report.status], data)], ignored: null, diverged: false }
}

/** A join that did not wait for all its inputs fires; one that fails for want of them does not. */
function hasFiredEarly(report: TaskReport): boolean {
  if (report.missing === undefined || report.missing.length === 0) return false
  const code = report.error?.code
  return code !== 'join_timeout' && code !== 'join_unsatisfied'
}

/**
 * What a stage's report of a task adds to the job's log; the state is not changed, the caller folds
 * the events. The first report of a task wins, whatever comes later (promise 2).
 * @param nowMs the ledger's clock: no event lies in its future, whatever a stage's clock says
 */
export function acceptReport(
  state: RunState,
  plan: Plan,
  stepName: string,
  report: TaskReport,
  nowMs: number,
): Acceptance {
  const index = indexRun(plan)
  const at = index.steps[index.byName.get(stepName) ?? -1]
  if (at === undefined) return ignore('unknown_step')
  if (state.ended) return ignore('ended')
  if (!isItem(report.item, at.depth)) return ignore('invalid_item')
  const count = report.fanOut?.count ?? 0
  if (!Number.isSafeInteger(count) || count < 0 || count > limits.fanOutItems) {
    return ignore('invalid_report')
  }
  const time = timeOf(Math.min(report.at, nowMs))
  if (at.depth > 0 && isBeyond(state, index, at, report.item)) {
    return mark(state, at, report, time, 'beyond_count')
  }
  const step = state.steps[at.position] as StepState
  const outcome = outcomeOfReport(report)
  const isDecided = outcomeOf(step, at.depth, report.item) !== OPEN
  if (outcome === OPEN) {
    if (isDecided || !isNews(step.active?.get(report.item), report)) return ignore('duplicate')
    if (isTold(report)) return acceptTold(state, at, report, time)
  } else if (isDecided) {
    if (!differs(step, at.depth, report, outcome)) return ignore('duplicate')
    return mark(state, at, report, time, 'duplicate')
  }
  const isEarly = hasFiredEarly(report)
  const event = eventOf(state, at, report, TYPES[report.status], time, dataOf(report, !isEarly))
  const events = isEarly
    ? [eventOf(state, at, report, 'join.fired', time, joinDataOf(report)), event]
    : [event]
  const diverged = contradicted(state, index, plan.edges, report.took).length > 0
  return { events, ignored: null, diverged }
}

function joinDataOf({ missing, took }: TaskReport): JobEventData {
  return { ...(missing === undefined ? {} : { missing }), ...(took === undefined ? {} : { took }) }
}
