import { defaults, type PlanStep } from '@weir/contracts'
import type { Stage } from '@weir/sdk'

const known = new WeakMap<PlanStep, PlanStep>()

const isDefaultRetry = (step: PlanStep) =>
  Object.entries(defaults.retry).every(
    ([name, value]) => step.retry[name as keyof PlanStep['retry']] === value,
  )

/**
 * The step with the stage's own timeout and retry policy where the pipeline says nothing: a plan has
 * every default filled in, so a value that is the default counts as nothing said.
 */
export function effectiveStep(stage: Stage, step: PlanStep): PlanStep {
  let found = known.get(step)
  if (found === undefined) {
    const timeoutMs =
      step.timeoutMs === defaults.timeoutMs ? (stage.timeoutMs ?? step.timeoutMs) : step.timeoutMs
    const retry = isDefaultRetry(step) ? { ...step.retry, ...stage.retry } : step.retry
    found = { ...step, timeoutMs, retry }
    known.set(step, found)
  }
  return found
}
