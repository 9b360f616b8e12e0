import { limits, type Plan, type PlanEdge, type PlanStep } from '@weir/contracts'

/** A step as the fold of a run needs it: neighbours by position instead of by name. */
export type StepIndex = {
  readonly step: PlanStep
  readonly position: number
  /** Number of fan-outs that the step stands in. */
  readonly depth: number
  /** Positions of the steps that opened those fan-outs, outermost first. */
  readonly scope: readonly number[]
  readonly in: readonly PlanEdge[]
  readonly out: readonly PlanEdge[]
  /** The most elements of the fan-out that this step opens; 0 where it opens none. */
  readonly itemsMax: number
  /** Positions of all steps inside the fan-out that this step opens, nested ones too. */
  readonly inside: readonly number[]
}

export type RunIndex = {
  readonly byName: ReadonlyMap<string, number>
  readonly steps: readonly StepIndex[]
  /** Position of the step at each edge's start; -1 for the edges of the job's input. */
  readonly edgeFrom: readonly number[]
  readonly edgeTo: readonly number[]
  readonly leafs: readonly number[]
}

const cache = new WeakMap<Plan, RunIndex>()

function buildIndex(plan: Plan): RunIndex {
  const byName = new Map(plan.steps.map((step, position) => [step.name, position]))
  const positionOf = (name: string | null) => (name === null ? -1 : (byName.get(name) ?? -1))
  const edgesOf = (numbers: readonly number[]) => numbers.map((n) => plan.edges[n] as PlanEdge)
  const scopes = plan.steps.map((step) => step.scope.map(positionOf))
  const steps = plan.steps.map((step, position): StepIndex => {
    const out = edgesOf(step.out)
    const bounds = out
      .filter((edge) => edge.kind === 'each')
      .map((edge) => edge.maxItems ?? limits.fanOutItems)
    return {
      step,
      position,
      depth: step.scope.length,
      scope: scopes[position] as number[],
      in: edgesOf(step.in),
      out,
      itemsMax: bounds.length === 0 ? 0 : Math.min(...bounds),
      inside: scopes.flatMap((scope, other) => (scope.includes(position) ? [other] : [])),
    }
  })
  return {
    byName,
    steps,
    edgeFrom: plan.edges.map((edge) => positionOf(edge.from)),
    edgeTo: plan.edges.map((edge) => positionOf(edge.to)),
    leafs: plan.leafs.map(positionOf),
  }
}

/** The index of a plan, made once for as long as the plan lives. */
export function indexRun(plan: Plan): RunIndex {
  let index = cache.get(plan)
  if (index === undefined) {
    index = buildIndex(plan)
    cache.set(plan, index)
  }
  return index
}
