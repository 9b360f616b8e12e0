import { childItem, type Plan, parentItem, type TerminalStatus } from '@weir/contracts'
import type { NewEvent } from './accept-report.ts'
import { indexRun, type RunIndex, type StepIndex } from './run-index.ts'
import {
  type Cancellation,
  COMPLETED,
  DROPPED,
  FAILED,
  isAllReported,
  isStepReported,
  type JobError,
  OPEN,
  outcomeOf,
  type RunState,
  SKIPPED_AFTER_FAILURE,
  type StepState,
} from './run-state.ts'

export type RunDecision = {
  readonly status: TerminalStatus
  /** The failure that ended the run; null where it did not fail. */
  readonly error: JobError | null
  /** Of a run that was cancelled. */
  readonly cancellation?: Cancellation
  /** Steps with work that nobody needed any more when the run ended. */
  readonly superseded: readonly string[]
}

/**
 * Element of a fan-out whose source has not reported: it stands for all of them. Nothing inside has
 * been decided or taken there, so they are all alike.
 */
const ANY = '*'
const anyItem = (parent: string) => (parent === '' ? ANY : `${parent}.${ANY}`)
const isGeneric = (item: string) => item.endsWith(ANY)

/**
 * The tasks of a step as far as they are known, undecided ones: paths, with `*` for the elements of
 * a fan-out whose source has not reported.
 */
function* openTasks(state: RunState, index: RunIndex, at: StepIndex): Generator<string> {
  const step = state.steps[at.position] as StepState
  if (at.depth === 0) {
    if (step.outcome === OPEN) yield ''
    return
  }
  for (const [parent, count] of fanOuts(state, index, at.scope, at.depth - 1)) {
    if (count === undefined) {
      yield anyItem(parent)
      continue
    }
    const outcomes = step.sets?.get(parent)?.outcomes
    for (let element = 0; element < count; element++) {
      if ((outcomes?.[element] ?? OPEN) === OPEN) yield childItem(parent, element)
    }
  }
}

/** The instances of a fan-out with their counts; undefined where the source has not reported. */
function* fanOuts(
  state: RunState,
  index: RunIndex,
  scope: readonly number[],
  level: number,
): Generator<[item: string, count: number | undefined]> {
  const source = state.steps[scope[level] as number] as StepState
  if (level === 0) {
    yield ['', source.fan?.get('')]
    return
  }
  for (const [parent, count] of fanOuts(state, index, scope, level - 1)) {
    if (count === undefined) {
      yield [anyItem(parent), undefined]
      continue
    }
    for (let element = 0; element < count; element++) {
      const item = childItem(parent, element)
      yield [item, source.fan?.get(item)]
    }
  }
}

const isUnder = (path: string, item: string) =>
  item === '' ? path !== '' : path.startsWith(`${item}.`)

/** True where something inside a fan-out was decided, or taken by a join: its source has sent it. */
function hasTrace(state: RunState, index: RunIndex, source: StepIndex, item: string): boolean {
  if (isGeneric(item)) return false
  for (const position of source.inside) {
    const step = state.steps[position] as StepState
    for (const [parent, set] of step.sets ?? []) {
      if (set.reported > 0 && (parent === item || isUnder(parent, item))) return true
    }
  }
  for (const { gaps } of state.steps) {
    for (const { taken } of gaps?.values() ?? []) {
      for (const entry of taken) {
        const slash = entry.indexOf('/')
        const from = index.edgeFrom[Number(entry.slice(0, slash))] as number
        if (source.inside.includes(from) && isUnder(entry.slice(slash + 1), item)) return true
      }
    }
  }
  return false
}

/**
 * True where a join that fired, or failed, does without the message on an edge and has not taken
 * it. An undecided target needs nothing either: all undecided tasks after this one were found
 * superseded before (the walk goes against the flow and stops at the first that is needed).
 */
function isDoneWithout(
  state: RunState,
  index: RunIndex,
  edge: StepIndex['out'][number],
  item: string,
): boolean {
  const target = index.steps[index.edgeTo[edge.index] as number] as StepIndex
  if (edge.kind === 'each') return true
  const targetItem = edge.kind === 'gather' ? parentItem(item) : item
  if (isGeneric(targetItem)) return true
  const step = state.steps[target.position] as StepState
  const gap = step.gaps?.get(targetItem)
  if (gap?.taken.has(`${edge.index}/${item}`)) return false
  if (outcomeOf(step, target.depth, targetItem) === OPEN) return true
  const missing = gap?.missing.get(edge.index)
  return missing === '*' || missing?.has(item) === true
}

/**
 * The steps that have undecided tasks, if every one of those is superseded: all paths from it end
 * in edges that a join has done without, and no join has taken its message. Undefined where one is
 * still needed. Leafs are always needed; the caller has seen that all of them have reported.
 */
function findSuperseded(state: RunState, plan: Plan, index: RunIndex): string[] | undefined {
  const superseded: string[] = []
  for (let i = index.steps.length - 1; i >= 0; i--) {
    const at = index.steps[i] as StepIndex
    if (isStepReported(state, plan, at)) continue
    let found = false
    for (const item of openTasks(state, index, at)) {
      if (!at.out.every((edge) => isDoneWithout(state, index, edge, item))) return undefined
      if (at.itemsMax > 0 && hasTrace(state, index, at, item)) return undefined
      found = true
    }
    if (found) superseded.push(at.step.name)
  }
  return superseded.reverse()
}

function count(state: RunState, outcome: number): number {
  return state.steps.reduce((sum, step) => sum + (step.counts[outcome] as number), 0)
}

function firstFailure(state: RunState): JobError | null {
  let first: StepState['failure'] = null
  for (const { failure } of state.steps) {
    if (failure !== null && (first === null || failure.order < first.order)) first = failure
  }
  return first?.error ?? null
}

function summarise(
  state: RunState,
  plan: Plan,
  index: RunIndex,
  superseded: readonly string[],
): RunDecision {
  const failures =
    count(state, FAILED) + count(state, DROPPED) + count(state, SKIPPED_AFTER_FAILURE)
  if (failures === 0) return { status: 'completed', error: null, superseded }
  const hasLeaf = index.leafs.some((leaf) => (state.steps[leaf]?.counts[COMPLETED] ?? 0) > 0)
  if (plan.onFailure === 'fail_fast' || !hasLeaf) {
    return { status: 'failed', error: firstFailure(state), superseded }
  }
  return { status: 'completed_with_failures', error: null, superseded }
}

/**
 * Whether a run is over, and how it ends; null while it goes on. A failure under `fail_fast`, a
 * handler's cancel and a requested cancel end it at once (with a fence, see `needsFence`);
 * otherwise it ends when every task has been decided, save those that are superseded.
 */
export function decideRun(state: RunState, plan: Plan): RunDecision | null {
  if (state.ended) return null
  if (state.verdict !== null) return { ...state.verdict, superseded: [] }
  const index = indexRun(plan)
  for (const leaf of index.leafs) {
    if (!isStepReported(state, plan, index.steps[leaf] as StepIndex)) return null
  }
  const superseded = findSuperseded(state, plan, index)
  return superseded === undefined ? null : summarise(state, plan, index, superseded)
}

/** True when a run that ends now still has tasks that could start or be running. */
export function needsFence(state: RunState, plan: Plan): boolean {
  return !isAllReported(state, plan)
}

/**
 * The terminal event of a run.
 * @param at RFC 3339, UTC, milliseconds
 */
export function terminalEvent(
  state: Pick<RunState, 'run'>,
  decision: RunDecision,
  at: string,
): NewEvent {
  const { error, cancellation, superseded } = decision
  const failure =
    error === null
      ? {}
      : {
          step: error.step,
          ...(error.item === undefined ? {} : { item: error.item }),
          error: { code: error.code, message: error.message, class: error.class },
        }
  return {
    run: state.run,
    type: `job.${decision.status}`,
    at,
    ...(error === null ? {} : { attempt: error.attempts }),
    data: { ...failure, ...cancellation, ...(superseded.length === 0 ? {} : { superseded }) },
  }
}
