import type { Plan, StageRef } from '@weir/contracts'

/** The stages that a run of the plan can reach, each once, in the order of the steps. */
export function stagesOnPath(plan: Plan): StageRef[] {
  return [...new Set(plan.steps.map((step) => step.stage))]
}
