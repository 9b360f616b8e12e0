import { childItem, itemIndex, type Plan, type PlanEdge, parentItem } from '@weir/contracts'
import { indexRun, type RunIndex, type StepIndex } from './run-index.ts'
import { COMPLETED, OPEN, outcomeOf, type RunState, type StepState } from './run-state.ts'

type Arrival = { readonly isThere: boolean; readonly hasData: boolean; readonly items: number }

const NOT_THERE: Arrival = { isThere: false, hasData: false, items: 0 }

/** What has come over an edge for one task of its target, as far as the reports tell. */
function arrivalOf(state: RunState, index: RunIndex, edge: PlanEdge, item: string): Arrival {
  const from = index.edgeFrom[edge.index] as number
  if (from === -1) return { isThere: true, hasData: true, items: 1 }
  const source = state.steps[from] as StepState
  const { depth, scope } = index.steps[from] as StepIndex
  switch (edge.kind) {
    case 'plain': {
      const outcome = outcomeOf(source, depth, item)
      return { isThere: outcome !== OPEN, hasData: outcome === COMPLETED, items: 1 }
    }
    case 'each': {
      const count = source.fan?.get(parentItem(item)) ?? 0
      const isThere = itemIndex(item) < count
      return { isThere, hasData: isThere, items: 1 }
    }
    case 'gather': {
      const opener = index.steps[scope.at(-1) as number] as StepIndex
      const openerState = state.steps[opener.position] as StepState
      const count = openerState.fan?.get(item)
      const set = source.sets?.get(item)
      const items = set?.completed ?? 0
      if (count === undefined) return { ...NOT_THERE, items }
      const isEmpty = count === 0 && outcomeOf(openerState, opener.depth, item) === COMPLETED
      const isThere = (set?.reported ?? 0) >= count
      return { isThere, hasData: isThere && (items > 0 || isEmpty), items }
    }
  }
}

/** True where a task has all that it runs on, so it waits or runs at its stage. */
export function isReady(state: RunState, index: RunIndex, at: StepIndex, item: string): boolean {
  const arrivals = at.in.map((edge) => arrivalOf(state, index, edge, item))
  if (arrivals.every((arrival) => arrival.isThere)) return true
  const { join } = at.step
  if (join === null || join.policy === 'all') return false
  const units =
    join.unit === 'items'
      ? (arrivals[0]?.items ?? 0)
      : arrivals.filter((arrival) => arrival.hasData).length
  return units >= join.n
}

/** Undecided tasks of a step that are ready, counted for steps that run on single messages. */
function countReady(state: RunState, index: RunIndex, at: StepIndex): number {
  const step = state.steps[at.position] as StepState
  if (at.depth === 0) return step.outcome === OPEN && isReady(state, index, at, '') ? 1 : 0
  if (at.step.join === null) {
    // Reports may overtake each other, so a consumer can be ahead of its producer for a moment.
    const edge = at.in[0] as PlanEdge
    const source = state.steps[index.edgeFrom[edge.index] as number]
    const sent = edge.kind === 'each' ? source?.fanTotal : source?.reported
    return Math.max(0, (sent ?? 0) - step.reported)
  }
  const opener = state.steps[at.scope.at(-1) as number]
  let ready = 0
  for (const [parent, count] of opener?.fan ?? []) {
    const set = step.sets?.get(parent)
    if (set !== undefined && set.reported >= count) continue
    for (let element = 0; element < count; element++) {
      if ((set?.outcomes[element] ?? OPEN) !== OPEN) continue
      if (isReady(state, index, at, childItem(parent, element))) ready += 1
    }
  }
  return ready
}

function countDelayed(step: StepState): number {
  let delayed = 0
  for (const task of step.active?.values() ?? []) if (task.isDelayed) delayed += 1
  return delayed
}

/** Ready tasks of a step by position, and how many of them wait in a delay topic. */
export function readyTasks(state: RunState, plan: Plan): { ready: number; delayed: number }[] {
  const index = indexRun(plan)
  return index.steps.map((at) => {
    const step = state.steps[at.position] as StepState
    return { ready: countReady(state, index, at), delayed: countDelayed(step) }
  })
}

/**
 * Messages of a run that each stage still has to do, as far as the reports tell: tasks that are
 * ready or running there. A step that waits in a join holds none, nor does a task that waits in a
 * delay topic for its next attempt. Stages without any are left out; empty when the run has ended.
 */
export function heldSlots(state: RunState, plan: Plan): Record<string, number> {
  const held: Record<string, number> = {}
  if (state.ended) return held
  for (const [position, { ready, delayed }] of readyTasks(state, plan).entries()) {
    const slots = ready - delayed
    const stage = plan.steps[position]?.stage
    if (slots > 0 && stage !== undefined) held[stage] = (held[stage] ?? 0) + slots
  }
  return held
}
