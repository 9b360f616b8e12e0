import type { JobEvent, JobEventData, Plan, TaskError } from '@weir/contracts'
import { digestCode } from './digest-code.ts'
import {
  clipItems,
  contradicted,
  decidedItems,
  decideTask,
  noteGap,
  noteTaken,
  reopenTask,
  settleTaken,
} from './fold-tasks.ts'
import { indexRun, type RunIndex, type StepIndex } from './run-index.ts'
import {
  CANCELLED,
  type Cancellation,
  COMPLETED,
  DROPPED,
  FAILED,
  type JobError,
  OPEN,
  type Outcome,
  outcomeOf,
  type RunState,
  SKIPPED,
  SKIPPED_AFTER_FAILURE,
  type StepState,
} from './run-state.ts'

/** A retry that is due later than this is moved to a delay topic and holds no slot meanwhile. */
const PARKED_MS_MAX = 30_000

const UNKNOWN_ERROR: TaskError = {
  code: 'unknown',
  message: 'No error was reported.',
  class: 'permanent',
}

function errorOf(event: Omit<JobEvent, 'seq'>): JobError {
  const { step = event.data.step ?? '', item = event.data.item ?? '', attempt = 1 } = event
  const error = event.data.error ?? UNKNOWN_ERROR
  return { ...error, step, ...(item === '' ? {} : { item }), attempts: attempt }
}

function noteFanOut(
  state: RunState,
  index: RunIndex,
  at: StepIndex,
  item: string,
  data: JobEventData,
): void {
  const step = state.steps[at.position] as StepState
  const count = data.fanOut?.marker === 'items' ? data.fanOut.count : 0
  step.fan ??= new Map()
  step.fan.set(item, count)
  step.fanTotal += count
  for (const position of clipItems(state, index, at, item, count)) {
    ;(state.steps[position] as StepState).diverged = true
  }
}

function foldDecision(
  state: RunState,
  plan: Plan,
  index: RunIndex,
  at: StepIndex,
  event: Omit<JobEvent, 'seq'>,
  outcome: Outcome,
): void {
  const step = state.steps[at.position] as StepState
  const { data, item = '' } = event
  if (outcomeOf(step, at.depth, item) !== OPEN) return
  const digest = outcome === COMPLETED && data.digest ? digestCode(data.digest) : 0
  decideTask(step, at.depth, item, outcome, digest)
  if (at.itemsMax > 0) noteFanOut(state, index, at, item, data)
  foldTook(state, plan, index, at, item, data)
  if (settleTaken(state, at, item)) step.diverged = true
  if (outcome === FAILED || outcome === DROPPED) {
    const error = errorOf(event)
    step.failure ??= { order: state.failures, error }
    state.failures += 1
    if (plan.onFailure === 'fail_fast') state.verdict ??= { status: 'failed', error }
  } else if (outcome === CANCELLED) {
    state.verdict ??= { status: 'cancelled', error: null, cancellation: cancellationOf(data) }
  }
}

function cancellationOf({ reason, actor }: JobEventData): Cancellation {
  return { ...(reason !== undefined && { reason }), ...(actor !== undefined && { actor }) }
}

function foldTook(
  state: RunState,
  plan: Plan,
  index: RunIndex,
  at: StepIndex,
  item: string,
  data: JobEventData,
): void {
  if (data.missing !== undefined) noteGap(state.steps[at.position] as StepState, item, data)
  if (data.took === undefined) return
  for (const position of contradicted(state, index, plan.edges, data.took)) {
    ;(state.steps[position] as StepState).diverged = true
  }
  noteTaken(state, index, plan.edges, data.took)
}

function foldRerun(state: RunState, index: RunIndex, event: Omit<JobEvent, 'seq'>): void {
  state.run = event.run
  state.status = 'running'
  state.verdict = null
  state.superseded = []
  state.ended = false
  state.taken.clear()
  state.told = 0
  state.artifacts.clear()
  state.artifactBytes = 0
  for (const [name, items] of event.data.again ?? []) {
    const at = index.steps[index.byName.get(name) ?? -1]
    if (at === undefined) continue
    const step = state.steps[at.position] as StepState
    const again = items === '*' ? decidedItems(step, at.depth) : items
    for (const item of again) reopenTask(state, index, at, item)
    if (items === '*') {
      step.active = null
      step.gaps = null
    }
    step.diverged = false
  }
}

function foldActive(at: StepIndex, state: RunState, event: Omit<JobEvent, 'seq'>): void {
  const step = state.steps[at.position] as StepState
  const { item = '', attempt = 1, data } = event
  if (outcomeOf(step, at.depth, item) !== OPEN) return
  const kind = event.type === 'task.retry_scheduled' ? 'retry' : 'started'
  const retryAt = kind === 'retry' ? (data.retryAt ?? 0) : 0
  const isDelayed = retryAt > 0 && retryAt - Date.parse(event.at) > PARKED_MS_MAX
  step.active ??= new Map()
  const before = step.active.get(item)
  const known = before?.attempt === attempt ? before : undefined
  const told = data.progress?.n ?? known?.told ?? 0
  const noted = data.event?.n ?? data.artifact?.n ?? data.lost?.to ?? known?.noted ?? 0
  step.active.set(item, { attempt, kind, retryAt, isDelayed, told, noted })
}

/** What a handler tells while it is at work. */
function foldTold(at: StepIndex, state: RunState, event: Omit<JobEvent, 'seq'>): void {
  foldActive(at, state, event)
  state.told += 1
  const { artifact } = event.data
  if (artifact === undefined || artifact.kept === false) return
  if (!state.artifacts.has(artifact.digest)) state.artifactBytes += artifact.bytes
  state.artifacts.add(artifact.digest)
}

/**
 * Takes an event of the job's log into the state. Events come in the order of their numbers; those
 * after a run's terminal event, until a rerun, change nothing.
 */
export function foldEvent(state: RunState, plan: Plan, event: Omit<JobEvent, 'seq'>): void {
  const index = indexRun(plan)
  if (event.type === 'job.rerun') {
    foldRerun(state, index, event)
    return
  }
  if (state.ended) return
  const at = event.step === undefined ? undefined : index.steps[index.byName.get(event.step) ?? -1]
  switch (event.type) {
    case 'job.queued':
    case 'task.dead_lettered':
      return
    case 'job.dispatched':
      if (state.status === 'queued') state.status = 'running'
      return
    case 'job.cancel_requested':
      state.status = 'cancelling'
      state.verdict ??=
        event.data.error === undefined
          ? { status: 'cancelled', error: null, cancellation: cancellationOf(event.data) }
          : { status: 'failed', error: errorOf(event) }
      return
    case 'task.progress':
    case 'task.event':
    case 'task.events_lost':
    case 'task.artifact':
      if (at !== undefined) foldTold(at, state, event)
      return
    case 'task.started':
    case 'task.retry_scheduled':
      if (at !== undefined) foldActive(at, state, event)
      return
    case 'join.fired':
      if (at !== undefined) foldTook(state, plan, index, at, event.item ?? '', event.data)
      return
    case 'task.diverged':
      if (at !== undefined) (state.steps[at.position] as StepState).diverged = true
      return
    case 'task.completed':
    case 'task.skipped':
    case 'task.failed':
    case 'task.cancelled':
    case 'task.dropped':
      if (state.status === 'queued') state.status = 'running'
      if (at !== undefined) foldDecision(state, plan, index, at, event, outcomeOfEvent(event))
      return
    case 'job.completed':
    case 'job.completed_with_failures':
    case 'job.failed':
    case 'job.cancelled':
    case 'job.dropped':
      state.ended = true
      state.superseded = event.data.superseded ?? []
      state.status = event.type.slice('job.'.length) as RunState['status']
      return
    default:
      event.type satisfies never
  }
}

function outcomeOfEvent(event: Omit<JobEvent, 'seq'>): Outcome {
  switch (event.type) {
    case 'task.completed':
      return COMPLETED
    case 'task.skipped':
      return event.data.failedBefore === true ? SKIPPED_AFTER_FAILURE : SKIPPED
    case 'task.failed':
      return FAILED
    case 'task.cancelled':
      return CANCELLED
    default:
      return DROPPED
  }
}
