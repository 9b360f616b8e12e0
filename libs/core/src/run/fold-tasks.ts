import {
  ALL_ITEMS,
  depthOf,
  digestOf,
  itemIndex,
  type JobEventData,
  limits,
  type PlanEdge,
  parentItem,
} from '@weir/contracts'
import { digestCode, markerOf } from './digest-code.ts'
import type { RunIndex, StepIndex } from './run-index.ts'
import {
  COMPLETED,
  DROPPED,
  digestCodeOf,
  FAILED,
  type ItemSet,
  OPEN,
  type Outcome,
  outcomeOf,
  type RunState,
  SKIPPED,
  SKIPPED_AFTER_FAILURE,
  type StepState,
} from './run-state.ts'

function setFor(step: StepState, parent: string, high: number): ItemSet {
  step.sets ??= new Map()
  let set = step.sets.get(parent)
  if (set === undefined) {
    const room = Math.min(limits.fanOutItems, Math.max(16, high))
    const outcomes = new Uint8Array(room)
    set = { outcomes, digests: new Uint32Array(room), reported: 0, completed: 0, high: 0 }
    step.sets.set(parent, set)
  } else if (high > set.outcomes.length) {
    const room = Math.max(high, Math.min(limits.fanOutItems, set.outcomes.length * 2))
    const outcomes = new Uint8Array(room)
    outcomes.set(set.outcomes)
    const digests = new Uint32Array(room)
    digests.set(set.digests)
    set.outcomes = outcomes
    set.digests = digests
  }
  return set
}

/** Writes a decision down. The caller knows that the task was open. */
export function decideTask(
  step: StepState,
  depth: number,
  item: string,
  outcome: Outcome,
  digest: number,
): void {
  if (depth === 0) {
    step.outcome = outcome
    step.digest = digest
  } else {
    const at = itemIndex(item)
    const set = setFor(step, parentItem(item), at + 1)
    set.outcomes[at] = outcome
    set.digests[at] = digest
    set.reported += 1
    if (outcome === COMPLETED) set.completed += 1
    if (at >= set.high) set.high = at + 1
  }
  step.reported += 1
  step.counts[outcome] = (step.counts[outcome] as number) + 1
  step.active?.delete(item)
}

/** Takes a task back to undecided, and what it opened or joined with it. */
export function reopenTask(state: RunState, index: RunIndex, at: StepIndex, item: string): void {
  const step = state.steps[at.position] as StepState
  const outcome = outcomeOf(step, at.depth, item)
  step.active?.delete(item)
  step.gaps?.delete(item)
  if (step.fan?.has(item)) {
    step.fanTotal -= step.fan.get(item) as number
    step.fan.delete(item)
    clipItems(state, index, at, item, 0)
  }
  if (outcome === OPEN) return
  step.reported -= 1
  step.counts[outcome] = (step.counts[outcome] as number) - 1
  if (step.failure !== null && (step.counts[FAILED] as number) === 0) step.failure = null
  if (at.depth === 0) {
    step.outcome = OPEN
    step.digest = 0
    return
  }
  const set = step.sets?.get(parentItem(item)) as ItemSet
  set.outcomes[itemIndex(item)] = OPEN
  set.digests[itemIndex(item)] = 0
  set.reported -= 1
  if (outcome === COMPLETED) set.completed -= 1
}

/** The paths of a step's decided tasks. */
export function decidedItems(step: StepState, depth: number): string[] {
  if (depth === 0) return step.outcome === OPEN ? [] : ['']
  const items: string[] = []
  for (const [parent, set] of step.sets ?? []) {
    const prefix = parent === '' ? '' : `${parent}.`
    for (let at = 0; at < set.high; at++) if (set.outcomes[at] !== OPEN) items.push(prefix + at)
  }
  return items
}

/** True where a path leads through one of the first elements that the task of a path sent. */
function isInside(path: string, item: string): number {
  if (item !== '' && !path.startsWith(`${item}.`)) return -1
  const rest = item === '' ? path : path.slice(item.length + 1)
  const dot = rest.indexOf('.')
  return rest === '' ? -1 : Number(dot === -1 ? rest : rest.slice(0, dot))
}

/**
 * Forgets what was decided for elements beyond the number that a task sent: they came from another
 * answer of that task than the one that counts.
 * @returns whether there were any; each step concerned is marked diverged by the caller's wish
 */
export function clipItems(
  state: RunState,
  index: RunIndex,
  source: StepIndex,
  item: string,
  count: number,
): number[] {
  const clipped: number[] = []
  for (const position of source.inside) {
    const at = index.steps[position] as StepIndex
    const step = state.steps[position] as StepState
    if (step.sets === null) continue
    let found = false
    const isInnermost = at.scope.at(-1) === source.position
    for (const [parent, set] of isInnermost ? only(step.sets, item) : step.sets) {
      if (set.reported === 0) continue
      if (isInnermost ? set.high <= count : isInside(parent, item) < count) continue
      const prefix = parent === '' ? '' : `${parent}.`
      for (let element = isInnermost ? count : 0; element < set.high; element++) {
        if (set.outcomes[element] === OPEN) continue
        reopenTask(state, index, at, prefix + element)
        found = true
      }
    }
    if (found) clipped.push(position)
  }
  return clipped
}

function* only(sets: Map<string, ItemSet>, key: string): Generator<[string, ItemSet]> {
  const set = sets.get(key)
  if (set !== undefined) yield [key, set]
}

/** A join that could not wait for all: what it does without, and what it had in hand. */
export function noteGap(step: StepState, item: string, data: JobEventData): void {
  if (data.missing === undefined || data.missing.length === 0) return
  const missing = new Map<number, '*' | Set<string>>()
  for (const [edge, path] of data.missing) {
    const known = missing.get(edge)
    if (path === ALL_ITEMS || known === '*') missing.set(edge, '*')
    else if (known === undefined) missing.set(edge, new Set([path]))
    else known.add(path)
  }
  const taken = new Set<string>()
  for (const [edge, path] of data.took ?? []) {
    if (missing.get(edge) === '*') taken.add(`${edge}/${path}`)
  }
  step.gaps ??= new Map()
  step.gaps.set(item, { missing, taken })
}

/** Digest of what a marker carries. Some consumers name it where others name the marker's kind. */
const NULL_CODE = digestCode(digestOf('null'))

/** True where a consumer took something else than the producer's report says that it sent. */
function isOther(edge: PlanEdge, outcome: Outcome, digest: number, took: number): boolean {
  if (outcome !== COMPLETED && took === NULL_CODE) return false
  switch (markerOf(took)) {
    case 'empty':
      return false
    case 'skipped':
      return outcome === COMPLETED ? edge.when === null : outcome === FAILED
    case 'failed':
      return outcome === COMPLETED || outcome === SKIPPED
    case undefined:
      return outcome !== COMPLETED || (digest !== 0 && digest !== took)
  }
}

/** The steps whose own reports differ from what a consumer of theirs took (promise 2). */
export function contradicted(
  state: RunState,
  index: RunIndex,
  edges: readonly PlanEdge[],
  took: JobEventData['took'],
): number[] {
  const found: number[] = []
  for (const [number, item, digest] of took ?? []) {
    const edge = edges[number]
    const from = index.edgeFrom[number]
    if (edge === undefined || from === undefined || from === -1 || edge.kind === 'each') continue
    const { depth } = index.steps[from] as StepIndex
    if (depthOf(item) !== depth) continue
    const step = state.steps[from] as StepState
    const outcome = outcomeOf(step, depth, item)
    if (outcome === OPEN) continue
    if (isOther(edge, outcome, digestCodeOf(step, depth, item), digestCode(digest))) {
      found.push(from)
    }
  }
  return found
}

/** Remembers what was taken from producers that have not reported yet. */
export function noteTaken(
  state: RunState,
  index: RunIndex,
  edges: readonly PlanEdge[],
  took: JobEventData['took'],
): void {
  for (const [number, item, digest] of took ?? []) {
    const from = index.edgeFrom[number]
    if (from === undefined || from === -1 || edges[number]?.kind === 'each') continue
    const { depth } = index.steps[from] as StepIndex
    const step = state.steps[from] as StepState
    if (depthOf(item) === depth && outcomeOf(step, depth, item) === OPEN) {
      state.taken.set(`${number}/${item}`, digestCode(digest))
    }
  }
}

/** Compares a producer's report with what its consumers had taken before it came. */
export function settleTaken(state: RunState, at: StepIndex, item: string): boolean {
  if (state.taken.size === 0) return false
  const step = state.steps[at.position] as StepState
  const outcome = outcomeOf(step, at.depth, item)
  const digest = digestCodeOf(step, at.depth, item)
  let differs = false
  for (const edge of at.out) {
    const key = `${edge.index}/${item}`
    const took = state.taken.get(key)
    if (took === undefined) continue
    state.taken.delete(key)
    if (isOther(edge, outcome, digest, took)) differs = true
  }
  return differs
}

export const isFailure = (outcome: Outcome): boolean =>
  outcome === FAILED || outcome === DROPPED || outcome === SKIPPED_AFTER_FAILURE
