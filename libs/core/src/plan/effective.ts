import {
  defaults,
  type EdgeDocument,
  type PipelineDocument,
  type RetryPolicy,
  type StepDocument,
} from '@weir/contracts'

export type EffectiveEdge = EdgeDocument & {
  readonly as: string
  readonly bufferRecordsMax: number
  readonly latencyBudgetMs: number
}

export type EffectiveJoin = {
  readonly policy: 'all' | 'any' | 'quorum'
  readonly n?: number
  readonly timeoutMs?: number
  readonly onTimeout: 'fail' | 'partial'
}

export type EffectiveStep = {
  readonly stage: string
  readonly after: readonly EffectiveEdge[]
  /** Only where the step is a join: several edges, or a gather. */
  readonly join?: EffectiveJoin
  readonly timeoutMs: number
  readonly retry: RetryPolicy
  readonly config: Readonly<Record<string, unknown>>
}

/** A document with every default filled in; itself a valid document, and its own effective form. */
export type EffectivePipeline = Omit<
  PipelineDocument,
  'steps' | 'onFailure' | 'onOverload' | 'history'
> & {
  readonly onFailure: NonNullable<PipelineDocument['onFailure']>
  readonly onOverload: NonNullable<PipelineDocument['onOverload']>
  readonly history: NonNullable<PipelineDocument['history']>
  readonly steps: Readonly<Record<string, EffectiveStep>>
}

/** The edges of a step as objects. */
export function edgeObjects(step: StepDocument): EdgeDocument[] {
  return (step.after ?? []).map((edge) => (typeof edge === 'string' ? { step: edge } : edge))
}

function isJoin(edges: readonly EdgeDocument[]): boolean {
  return edges.length > 1 || edges[0]?.gather === true
}

/**
 * All `each` edges of a step send the same array, so they share one bound: the smallest that one
 * of them states.
 */
function fanOutBounds(document: PipelineDocument): Map<string, number> {
  const bounds = new Map<string, number>()
  for (const step of Object.values(document.steps)) {
    for (const edge of edgeObjects(step)) {
      if (edge.each !== true || edge.maxItems === undefined) continue
      bounds.set(edge.step, Math.min(bounds.get(edge.step) ?? edge.maxItems, edge.maxItems))
    }
  }
  return bounds
}

function fillEdge(edge: EdgeDocument, bounds: ReadonlyMap<string, number>): EffectiveEdge {
  const latencyBudgetMs = edge.latencyBudgetMs ?? defaults.latencyBudgetMs
  // A default never breaks the rule that a full buffer drains within its latency budget.
  const drained =
    edge.maxRate === undefined
      ? Number.POSITIVE_INFINITY
      : Math.max(1, Math.floor((edge.maxRate * latencyBudgetMs) / 1_000))
  return {
    ...edge,
    as: edge.as ?? edge.step,
    ...(edge.each === true ? { maxItems: bounds.get(edge.step) ?? defaults.maxItems } : {}),
    bufferRecordsMax: edge.bufferRecordsMax ?? Math.min(defaults.bufferRecordsMax, drained),
    latencyBudgetMs,
  }
}

/** The document with every default filled in. Expects what `parsePipeline` has passed. */
export function fillDefaults(document: PipelineDocument): EffectivePipeline {
  const bounds = fanOutBounds(document)
  const steps = Object.entries(document.steps).map(([name, step]): [string, EffectiveStep] => {
    const edges = edgeObjects(step)
    const join: EffectiveJoin = {
      ...step.join,
      policy: step.join?.policy ?? 'all',
      onTimeout: step.join?.onTimeout ?? 'fail',
    }
    return [
      name,
      {
        stage: step.stage,
        after: edges.map((edge) => fillEdge(edge, bounds)),
        ...(isJoin(edges) ? { join } : {}),
        timeoutMs: step.timeoutMs ?? defaults.timeoutMs,
        retry: { ...defaults.retry, ...step.retry },
        config: step.config ?? {},
      },
    ]
  })
  return {
    ...document,
    onFailure: document.onFailure ?? 'fail_fast',
    onOverload: document.onOverload ?? 'block',
    history: document.history ?? 'full',
    steps: Object.fromEntries(steps),
  }
}
