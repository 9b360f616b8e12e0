import { itemIndex, type JobStatus, type Plan, parentItem, type TaskError } from '@weir/contracts'
import { indexRun, type StepIndex } from './run-index.ts'

/** What became of a task. `OPEN` is 0, so a fresh array says that nothing was decided. */
export const OPEN = 0
export const COMPLETED = 1
export const SKIPPED = 2
/** Skipped because something before it had failed. */
export const SKIPPED_AFTER_FAILURE = 3
export const FAILED = 4
export const CANCELLED = 5
export const DROPPED = 6
export type Outcome = 0 | 1 | 2 | 3 | 4 | 5 | 6

/** The error of a job: what went wrong in which task, after how many attempts. */
export type JobError = TaskError & {
  readonly step: string
  readonly item?: string
  readonly attempts: number
}

/** The tasks of one step in one instance of its innermost fan-out, by element. */
export type ItemSet = {
  outcomes: Uint8Array
  digests: Uint32Array
  reported: number
  completed: number
  /** One above the highest element that was decided. */
  high: number
}

/** Why a run was cancelled: what its handler said, or who asked for it and why. */
export type Cancellation = { readonly reason?: string; readonly actor?: string }

/** A task that is known to be between attempts, or to be running. */
export type ActiveTask = {
  readonly attempt: number
  readonly kind: 'started' | 'retry'
  /** Epoch milliseconds; 0 for `started`. */
  readonly retryAt: number
  /** Waits in a delay topic, so it holds no slot at the stage. */
  readonly isDelayed: boolean
  /** Number of the latest progress that this attempt has told of; 0 for none. */
  readonly told: number
  /** Number of its latest event, artifact or gap; 0 for none. */
  readonly noted: number
}

/** What a join that fired, or failed, did without and what it had in hand. */
export type JoinGap = {
  /** By edge: the items it does without, or all of them. */
  readonly missing: ReadonlyMap<number, '*' | ReadonlySet<string>>
  readonly taken: ReadonlySet<string>
}

export type StepState = {
  /** Decided tasks, and how many of them ended each way (indexed by `Outcome`). */
  reported: number
  readonly counts: number[]
  /** Of a step outside of any fan-out: its one task. */
  outcome: number
  digest: number
  /** Of a step inside a fan-out: its tasks by the item that encloses them. */
  sets: Map<string, ItemSet> | null
  /** Of a step with `each` edges: elements sent, by task. */
  fan: Map<string, number> | null
  fanTotal: number
  active: Map<string, ActiveTask> | null
  gaps: Map<string, JoinGap> | null
  failure: { readonly order: number; readonly error: JobError } | null
  diverged: boolean
}

/**
 * A run as it follows from its events and its plan. Changed in place by `foldEvent`, and by nothing
 * else: folding a job's events again from the start gives an equal state.
 */
export type RunState = {
  run: number
  status: JobStatus
  readonly steps: readonly StepState[]
  /** What ends the run before its steps have all reported; the first one stands. */
  verdict: {
    readonly status: 'failed' | 'cancelled'
    readonly error: JobError | null
    readonly cancellation?: Cancellation
  } | null
  failures: number
  /** Digests taken by consumers whose producer has not reported yet, by `edge/item`. */
  readonly taken: Map<string, number>
  superseded: readonly string[]
  /** Progress, events and artifacts that are in the log of this run: it has to stay readable. */
  told: number
  /** Contents of artifacts that this run keeps, by digest, and their bytes. */
  readonly artifacts: Set<string>
  artifactBytes: number
  /** Steps that the terminal event found without a report stay so; nothing is folded after it. */
  ended: boolean
}

/** The state of a run before its first event. */
export function startRun(plan: Plan): RunState {
  return {
    run: 1,
    status: 'queued',
    steps: plan.steps.map(() => ({
      reported: 0,
      counts: [0, 0, 0, 0, 0, 0, 0],
      outcome: OPEN,
      digest: 0,
      sets: null,
      fan: null,
      fanTotal: 0,
      active: null,
      gaps: null,
      failure: null,
      diverged: false,
    })),
    verdict: null,
    failures: 0,
    taken: new Map(),
    superseded: [],
    told: 0,
    artifacts: new Set(),
    artifactBytes: 0,
    ended: false,
  }
}

/** What was decided for a task, `OPEN` where nothing was. */
export function outcomeOf(step: StepState, depth: number, item: string): Outcome {
  if (depth === 0) return step.outcome as Outcome
  const set = step.sets?.get(parentItem(item))
  return (set?.outcomes[itemIndex(item)] ?? OPEN) as Outcome
}

/** Code of the digest with which a task was decided; 0 where there is none. */
export function digestCodeOf(step: StepState, depth: number, item: string): number {
  if (depth === 0) return step.digest
  return step.sets?.get(parentItem(item))?.digests[itemIndex(item)] ?? 0
}

/**
 * How many tasks a step has in this run, or undefined while a fan-out around it has not told its
 * count.
 */
export function expectedTasks(
  state: RunState,
  plan: Plan,
  { depth, scope }: StepIndex,
): number | undefined {
  if (depth === 0) return 1
  const source = scope[depth - 1] as number
  const index = indexRun(plan).steps[source] as StepIndex
  return isStepReported(state, plan, index)
    ? (state.steps[source] as StepState).fanTotal
    : undefined
}

/** True when every task of the step has been decided. */
export function isStepReported(state: RunState, plan: Plan, index: StepIndex): boolean {
  const step = state.steps[index.position] as StepState
  if (index.depth === 0) return step.outcome !== OPEN
  return step.reported === expectedTasks(state, plan, index)
}

/** True when every task of every step has been decided. */
export function isAllReported(state: RunState, plan: Plan): boolean {
  const { steps } = indexRun(plan)
  // Backwards: what is last in the flow reports last, so an unfinished run is left early.
  for (let i = steps.length - 1; i >= 0; i--) {
    if (!isStepReported(state, plan, steps[i] as StepIndex)) return false
  }
  return true
}
