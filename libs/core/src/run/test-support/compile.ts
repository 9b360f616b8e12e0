import type { FailureMode, Plan, StepDocument } from '@weir/contracts'
import { compilePlan } from '../../plan/compile-plan.ts'
import { fillDefaults } from '../../plan/effective.ts'

/** A plan from the edges of its steps alone; each step runs on the stage of its own name. */
export function compile(
  steps: Record<string, Omit<StepDocument, 'stage'>>,
  onFailure: FailureMode = 'continue',
): Plan {
  const named = Object.entries(steps).map(([name, step]): [string, StepDocument] => [
    name,
    { stage: `${name}@1`, ...step },
  ])
  const effective = fillDefaults({ onFailure, steps: Object.fromEntries(named) })
  return compilePlan({ tenant: 't', pipeline: 'p', version: 1, effective })
}
