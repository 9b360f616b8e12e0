import { depthOf, type Envelope, type Plan, type PlanStep } from '@weir/contracts'
import { stepOf } from './outputs.ts'

/**
 * Checks a message against the plan that it names: the step is there and runs on this stage, the
 * edge leads into it, the item path is as deep as the step's fan-outs. Gives the step, or a sentence
 * that says what is wrong.
 */
export function checkMessage(plan: Plan, stage: string, envelope: Envelope): PlanStep | string {
  const { meta } = envelope
  if (plan.tenant !== envelope.tenant) return 'the plan belongs to another tenant'
  const step = stepOf(plan, meta.step)
  if (step === undefined) return `the plan has no step "${meta.step}"`
  if (step.stage !== stage) return `step "${meta.step}" runs on ${step.stage}, not on ${stage}`
  const depth = depthOf(meta.item)
  if (meta.counts.length !== depth) return 'the item path and its counts differ in depth'
  const own = !['data', 'skipped', 'failed', 'empty'].includes(meta.kind)
  if (own) {
    return depth === step.scope.length ? step : 'the item path does not fit the step'
  }
  const edge = plan.edges[meta.edge]
  if (edge === undefined || edge.to !== step.name) return 'the edge does not lead to the step'
  if (edge.kind === 'gather') {
    const isScopeMarker = depth === step.scope.length && meta.kind !== 'data'
    const isItem = depth === step.scope.length + 1 && meta.kind !== 'empty'
    return isScopeMarker || isItem ? step : 'the item path does not fit the edge'
  }
  if (meta.kind === 'empty') return 'only a gather edge takes the marker of an empty fan-out'
  return depth === step.scope.length ? step : 'the item path does not fit the step'
}
