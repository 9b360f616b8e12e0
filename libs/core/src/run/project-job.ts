import {
  childItem,
  type JobEvent,
  type JobStatus,
  type Plan,
  type StepStatus,
  type TerminalStatus,
} from '@weir/contracts'
import { foldEvent } from './fold-event.ts'
import { isReady, readyTasks } from './held-slots.ts'
import { indexRun, type StepIndex } from './run-index.ts'
import {
  CANCELLED,
  COMPLETED,
  DROPPED,
  expectedTasks,
  FAILED,
  isStepReported,
  type JobError,
  OPEN,
  outcomeOf,
  type RunState,
  SKIPPED,
  SKIPPED_AFTER_FAILURE,
  type StepState,
  startRun,
} from './run-state.ts'

export type ItemCounts = {
  readonly total: number
  readonly completed: number
  readonly skipped: number
  readonly failed: number
}

export type StepView = {
  readonly stage: string
  readonly status: StepStatus
  /** The most attempts that one task of the step has used. */
  readonly attempts: number
  /** Sums over attempts and items. */
  readonly waitMs: number
  readonly workMs: number
  /** RFC 3339; null while nothing has started, or not everything has ended. */
  readonly startedAt: string | null
  readonly finishedAt: string | null
  readonly error: JobError | null
  /** Why the step was skipped or cancelled. */
  readonly reason: string | null
  readonly items?: ItemCounts
  readonly output?: unknown
  readonly diverged?: true
}

export type WaitingFor = {
  readonly kind: 'retry' | 'join'
  readonly detail: string
  readonly stage: string
  readonly until?: string
}

export type RunView = {
  readonly run: number
  readonly status: JobStatus
  readonly cause: string
}

export type CancelView = {
  /** RFC 3339. */
  readonly requestedAt: string
  readonly actor: string
  readonly reason: string | null
}

/** A job as its events and its plan tell it. */
export type JobView = {
  readonly run: number
  readonly status: JobStatus
  readonly submittedAt: string | null
  readonly dispatchedAt: string | null
  readonly finishedAt: string | null
  readonly result: unknown
  readonly error: JobError | null
  /** Who asked to cancel the latest run; only where somebody has. */
  readonly cancel?: CancelView
  readonly waitingFor: WaitingFor | null
  readonly steps: Readonly<Record<string, StepView>>
  readonly runs: readonly RunView[]
}

export type ProjectOptions = {
  /** Puts each step's output into its view; off by default. */
  readonly outputs?: boolean
  /** JSON text of an output that stands outside of the log; undefined where it is not kept. */
  readonly readOutput?: (step: string, item: string, digest: string) => string | undefined
}

/** What the state does not need and a view does. */
type StepDetail = {
  attempts: number
  waitMs: number
  workMs: number
  startedMs: number
  finishedMs: number
  /** Waits that `task.started` has told of: the end of the attempt tells of them again. */
  readonly told: Map<string, number>
  reason: string | null
  outputs: Map<string, { text: string | undefined; digest: string }>
}

const emptyDetail = (): StepDetail => ({
  attempts: 0,
  waitMs: 0,
  workMs: 0,
  startedMs: Number.POSITIVE_INFINITY,
  finishedMs: 0,
  told: new Map(),
  reason: null,
  outputs: new Map(),
})

function noteTask(detail: StepDetail, event: JobEvent): void {
  const { data } = event
  const atMs = Date.parse(event.at)
  const workMs = data.workMs ?? 0
  detail.attempts = Math.max(detail.attempts, event.attempt ?? 1)
  if (data.waitMs !== undefined) {
    const attempt = `${event.item ?? ''}/${event.attempt ?? 1}`
    detail.waitMs += data.waitMs - (detail.told.get(attempt) ?? 0)
    detail.told.set(attempt, data.waitMs)
  }
  detail.workMs += workMs
  detail.startedMs = Math.min(detail.startedMs, atMs - workMs)
  if (RUNNING_EVENTS.has(event.type)) return
  detail.finishedMs = Math.max(detail.finishedMs, atMs)
  detail.reason ??= data.reason ?? null
  if (event.type === 'task.completed') {
    detail.outputs.set(event.item ?? '', { text: data.output, digest: data.digest ?? '' })
  }
}

/** Milliseconds without the noise of adding fractions. */
const round = (ms: number) => Math.round(ms * 1_000) / 1_000
const toTime = (ms: number) => new Date(Math.round(ms)).toISOString()

function statusOf(state: RunState, plan: Plan, at: StepIndex, detail: StepDetail): StepStatus {
  const step = state.steps[at.position] as StepState
  const has = (outcome: number) => (step.counts[outcome] as number) > 0
  const isOver = isStepReported(state, plan, at)
  if (!isOver && !state.ended) {
    const index = indexRun(plan)
    const isAtWork = step.reported > 0 || detail.attempts > 0
    return isAtWork || (at.depth === 0 && hasStarted(state) && isReady(state, index, at, ''))
      ? 'running'
      : 'pending'
  }
  const isSettled = isOver || state.superseded.includes(at.step.name)
  if (has(COMPLETED) && isSettled) return 'completed'
  if (has(FAILED)) return 'failed'
  if (has(DROPPED)) return 'dropped'
  if (!isOver || has(CANCELLED)) return state.status === 'dropped' ? 'dropped' : 'cancelled'
  return 'skipped'
}

const hasStarted = (state: RunState) => state.status !== 'queued'

function parseOutput(text: string | undefined): unknown {
  return text === undefined ? null : JSON.parse(text)
}

/** The output of a step: its only task's, or those of its items in their order, nested as they are. */
function outputOf(
  state: RunState,
  plan: Plan,
  at: StepIndex,
  detail: StepDetail,
  options: ProjectOptions,
): unknown {
  const read = (item: string): unknown => {
    const output = detail.outputs.get(item)
    if (output === undefined) return null
    return parseOutput(output.text ?? options.readOutput?.(at.step.name, item, output.digest))
  }
  const index = indexRun(plan)
  const collect = (item: string, level: number): unknown => {
    if (level === at.depth) {
      const step = state.steps[at.position] as StepState
      return outcomeOf(step, at.depth, item) === COMPLETED ? read(item) : null
    }
    const count =
      state.steps[(index.steps[at.scope[level] as number] as StepIndex).position]?.fan?.get(item)
    return Array.from({ length: count ?? 0 }, (_, element) =>
      collect(childItem(item, element), level + 1),
    )
  }
  return collect('', 0)
}

function itemsOf(state: RunState, plan: Plan, at: StepIndex): ItemCounts {
  const { counts, reported } = state.steps[at.position] as StepState
  const of = (outcome: number) => counts[outcome] as number
  return {
    total: expectedTasks(state, plan, at) ?? Math.max(reported, knownItems(state, at)),
    completed: of(COMPLETED),
    skipped: of(SKIPPED) + of(SKIPPED_AFTER_FAILURE),
    failed: of(FAILED) + of(DROPPED),
  }
}

const knownItems = (state: RunState, at: StepIndex) =>
  state.steps[at.scope.at(-1) as number]?.fanTotal ?? 0

function viewStep(
  state: RunState,
  plan: Plan,
  at: StepIndex,
  detail: StepDetail,
  options: ProjectOptions,
): StepView {
  const step = state.steps[at.position] as StepState
  const status = statusOf(state, plan, at, detail)
  const isDone = status !== 'pending' && status !== 'running'
  return {
    stage: at.step.stage,
    status,
    attempts: detail.attempts,
    waitMs: round(detail.waitMs),
    workMs: round(detail.workMs),
    startedAt: Number.isFinite(detail.startedMs) ? toTime(detail.startedMs) : null,
    finishedAt: isDone && detail.finishedMs > 0 ? toTime(detail.finishedMs) : null,
    error: step.failure?.error ?? null,
    reason: status === 'skipped' || status === 'cancelled' ? detail.reason : null,
    ...(at.depth > 0 ? { items: itemsOf(state, plan, at) } : {}),
    ...(options.outputs === true && (step.counts[COMPLETED] as number) > 0
      ? { output: outputOf(state, plan, at, detail, options) }
      : {}),
    ...(step.diverged ? { diverged: true as const } : {}),
  }
}

function resultOf(
  state: RunState,
  plan: Plan,
  details: readonly StepDetail[],
  options: ProjectOptions,
): unknown {
  if (state.status !== 'completed' && state.status !== 'completed_with_failures') return null
  const index = indexRun(plan)
  const outputs = index.leafs
    .map((leaf) => index.steps[leaf] as StepIndex)
    .filter(({ position, depth }) => {
      const step = state.steps[position] as StepState
      return (step.counts[COMPLETED] as number) > 0 || (depth > 0 && step.reported === 0)
    })
    .map((at): [string, unknown] => [
      at.step.name,
      outputOf(state, plan, at, details[at.position] as StepDetail, options),
    ])
  if (index.leafs.length === 1) return outputs[0]?.[1] ?? null
  return Object.fromEntries(outputs)
}

/** Why a run that has begun does not move: all its tasks wait for a retry, or only joins wait. */
function waitingFor(state: RunState, plan: Plan): WaitingFor | null {
  if (state.status !== 'running') return null
  const index = indexRun(plan)
  const ready = readyTasks(state, plan).reduce((sum, tasks) => sum + tasks.ready, 0)
  const retries = index.steps.flatMap((at) =>
    [...(state.steps[at.position]?.active?.values() ?? [])]
      .filter((task) => task.kind === 'retry')
      .map((task) => ({ at, task })),
  )
  const [first] = retries.toSorted((a, b) => a.task.retryAt - b.task.retryAt)
  if (first !== undefined && retries.length >= ready) {
    const { at, task } = first
    const detail = `step ${at.step.name} tries again (attempt ${task.attempt + 1})`
    return { kind: 'retry', detail, stage: at.step.stage, until: toTime(task.retryAt) }
  }
  if (ready > 0) return null
  const join = index.steps.find(
    (at) => at.step.join !== null && !isStepReported(state, plan, at) && hasInput(state, plan, at),
  )
  if (join === undefined) return null
  const sources = join.in.map((edge) => edge.from ?? 'the input').join(', ')
  return {
    kind: 'join',
    detail: `step ${join.step.name} waits for ${sources}`,
    stage: join.step.stage,
  }
}

function hasInput(state: RunState, plan: Plan, at: StepIndex): boolean {
  const { edgeFrom } = indexRun(plan)
  return at.in.some((edge) => (state.steps[edgeFrom[edge.index] as number]?.reported ?? 0) > 0)
}

function errorOf(event: JobEvent): JobError | null {
  const { error, step = '', item } = event.data
  if (error === undefined) return null
  return { ...error, step, ...(item === undefined ? {} : { item }), attempts: event.attempt ?? 1 }
}

function cancelOf(event: JobEvent): CancelView | null {
  const { actor, reason = null } = event.data
  return actor === undefined ? null : { requestedAt: event.at, actor, reason }
}

function resetDetails(plan: Plan, details: StepDetail[], event: JobEvent): void {
  const { byName } = indexRun(plan)
  for (const [name, items] of event.data.again ?? []) {
    const position = byName.get(name)
    const detail = position === undefined ? undefined : details[position]
    if (position === undefined || detail === undefined) continue
    if (items === '*') details[position] = emptyDetail()
    else for (const item of items) detail.outputs.delete(item)
  }
}

/**
 * A job as `GET /v1/jobs/{id}` shows it, from its events (in the order of their numbers) and its
 * plan alone.
 */
export function projectJob(
  plan: Plan,
  events: Iterable<JobEvent>,
  options: ProjectOptions = {},
): JobView {
  const { byName, steps } = indexRun(plan)
  const state = startRun(plan)
  const details = steps.map(emptyDetail)
  const runs: { run: number; status: JobStatus; cause: string }[] = []
  let submittedAt: string | null = null
  let dispatchedAt: string | null = null
  let finishedAt: string | null = null
  let error: JobError | null = null
  let cancel: CancelView | null = null
  const begin = (run: number, cause: string) => runs.push({ run, status: 'queued', cause })
  for (const event of events) {
    const position = event.step === undefined ? undefined : byName.get(event.step)
    const wasOpen = position !== undefined && isOpen(state, steps[position] as StepIndex, event)
    if (event.type === 'job.rerun') resetDetails(plan, details, event)
    foldEvent(state, plan, event)
    if (event.type === 'job.queued') submittedAt = event.at
    if (event.type === 'job.dispatched') dispatchedAt = event.at
    if (event.type === 'job.cancel_requested') cancel = cancelOf(event)
    if (event.type === 'job.rerun') {
      begin(event.run, event.data.cause ?? 'replay')
      finishedAt = null
      error = null
      cancel = null
    } else if (runs.length === 0) {
      begin(event.run, 'submit')
    }
    if (wasOpen && TASK_EVENTS.has(event.type)) {
      noteTask(details[position as number] as StepDetail, event)
    }
    if (state.ended && TERMINAL_EVENTS.has(event.type)) {
      finishedAt = event.at
      error = errorOf(event)
    }
    const current = runs.at(-1)
    if (current !== undefined) current.status = state.status
  }
  return {
    run: state.run,
    status: state.status,
    submittedAt,
    dispatchedAt,
    finishedAt,
    result: resultOf(state, plan, details, options),
    error,
    ...(cancel !== null && { cancel }),
    waitingFor: waitingFor(state, plan),
    steps: Object.fromEntries(
      steps.map((at) => [
        at.step.name,
        viewStep(state, plan, at, details[at.position] as StepDetail, options),
      ]),
    ),
    runs,
  }
}

function isOpen(state: RunState, at: StepIndex, event: JobEvent): boolean {
  if (state.ended) return false
  return outcomeOf(state.steps[at.position] as StepState, at.depth, event.item ?? '') === OPEN
}

const RUNNING_EVENTS = new Set<string>([
  'task.started',
  'task.progress',
  'task.event',
  'task.events_lost',
  'task.artifact',
  'task.retry_scheduled',
])
const TASK_EVENTS = new Set<string>([
  ...RUNNING_EVENTS,
  'task.completed',
  'task.skipped',
  'task.failed',
  'task.cancelled',
  'task.dropped',
])
const TERMINAL_EVENTS = new Set<string>([
  'job.completed',
  'job.completed_with_failures',
  'job.failed',
  'job.cancelled',
  'job.dropped',
] satisfies `job.${TerminalStatus}`[])
