import {
  canonicalJson,
  hash128,
  type JoinPolicy,
  type Plan,
  type PlanEdge,
  type PlanStep,
  parseStageRef,
  type StageRef,
} from '@weir/contracts'
import { assignScopes } from './assign-scopes.ts'
import type { EffectivePipeline, EffectiveStep } from './effective.ts'
import { sortSteps } from './find-cycles.ts'

export type PlanSource = {
  readonly tenant: string
  readonly pipeline: string
  readonly version: number
  /** As `checkPipeline` gave it, without errors. */
  readonly effective: EffectivePipeline
}

function compileEdges(effective: EffectivePipeline): PlanEdge[] {
  const steps = Object.entries(effective.steps)
  const roots = steps.filter(([, step]) => step.after.length === 0)
  const edges: PlanEdge[] = roots.map(([name], index) => ({
    index,
    from: null,
    to: name,
    as: 'input',
    kind: 'plain',
    when: null,
    maxItems: null,
  }))
  for (const [name, step] of steps) {
    for (const edge of step.after) {
      edges.push({
        index: edges.length,
        from: edge.step,
        to: name,
        as: edge.as,
        kind: edge.each === true ? 'each' : edge.gather === true ? 'gather' : 'plain',
        when: edge.when ?? null,
        maxItems: edge.each === true ? (edge.maxItems ?? null) : null,
      })
    }
  }
  return edges
}

function compileJoin(step: EffectiveStep, incoming: readonly PlanEdge[]): JoinPolicy | null {
  const isGather = incoming.length === 1 && incoming[0]?.kind === 'gather'
  if (incoming.length === 1 && !isGather) return null
  const { policy = 'all', n, timeoutMs, onTimeout = 'fail' } = step.join ?? {}
  return {
    policy,
    n: policy === 'quorum' ? (n ?? 1) : policy === 'any' ? 1 : 0,
    timeoutMs: timeoutMs ?? null,
    onTimeout,
    unit: isGather ? 'items' : 'edges',
  }
}

function outcomeRule(outgoing: readonly PlanEdge[]): PlanStep['writeOutcome'] {
  if (outgoing.some((edge) => edge.kind === 'each' || edge.when !== null)) return 'always'
  return outgoing.length > 1 ? 'unless_deterministic' : 'never'
}

function refOf(step: EffectiveStep): StageRef {
  const parsed = parseStageRef(step.stage)
  if (parsed === undefined) throw new Error(`"${step.stage}" is not a stage reference`)
  return parsed.ref
}

/**
 * The compiled form of a checked pipeline; the same source gives the same plan, id included.
 * @throws on a document that `checkPipeline` would refuse
 */
export function compilePlan({ tenant, pipeline, version, effective }: PlanSource): Plan {
  const edges = compileEdges(effective)
  const sorted = sortSteps(Object.keys(effective.steps), (name) =>
    (effective.steps[name]?.after ?? []).map((edge) => edge.step),
  )
  const { scopes, errors } = assignScopes(effective, sorted)
  if (errors.length > 0) throw new Error(`the pipeline was not checked: ${errors[0]?.message}`)
  const steps = sorted.map((name): PlanStep => {
    const step = effective.steps[name] as EffectiveStep
    const incoming = edges.filter((edge) => edge.to === name)
    const outgoing = edges.filter((edge) => edge.from === name)
    const closing = outgoing.some((edge) => edge.kind === 'each')
      ? edges.filter(
          ({ kind, from }) => kind === 'gather' && scopes.get(from ?? '')?.at(-1) === name,
        )
      : []
    return {
      name,
      stage: refOf(step),
      scope: scopes.get(name) ?? [],
      in: incoming.map((edge) => edge.index),
      out: outgoing.map((edge) => edge.index),
      join: compileJoin(step, incoming),
      closing: closing.map((edge) => edge.index),
      writeOutcome: outcomeRule(outgoing),
      timeoutMs: step.timeoutMs,
      retry: step.retry,
      config: step.config,
    }
  })
  const content: Omit<Plan, 'id'> = {
    v: 1,
    tenant,
    pipeline,
    version,
    onFailure: effective.onFailure,
    deadlineMs: effective.deadlineMs ?? null,
    steps,
    edges,
    leafs: steps.filter((step) => step.out.length === 0).map((step) => step.name),
  }
  return { ...content, id: hash128('plan', canonicalJson(content)) }
}
