import type { FieldError } from '@weir/contracts'
import type { EffectiveEdge, EffectivePipeline, EffectiveStep } from './effective.ts'
import { findMismatch } from './find-mismatch.ts'
import { pointer } from './json-pointer.ts'
import type { KnownStage } from './known-stage.ts'

type Stages = ReadonlyMap<string, KnownStage>

function memberOf(schema: unknown, keyword: 'items' | 'properties', name?: string): unknown {
  if (schema === null || typeof schema !== 'object') return undefined
  const found = (schema as Record<string, unknown>)[keyword]
  if (name === undefined) return found
  if (found === null || typeof found !== 'object') return undefined
  return Object.hasOwn(found, name) ? (found as Record<string, unknown>)[name] : undefined
}

/** What arrives over an edge: the output, one of its elements, or the array of all items' outputs. */
function sent(edge: EffectiveEdge, output: unknown): unknown {
  if (edge.each === true) return memberOf(output, 'items')
  return edge.gather === true ? { type: 'array', items: output } : output
}

/** Where the target takes it: its whole input, or a join's member of the edge's name. */
function taken(step: EffectiveStep, edge: EffectiveEdge, input: unknown): unknown {
  return step.after.length === 1 ? input : memberOf(input, 'properties', edge.as)
}

/** Edges whose two ends cannot understand each other, as far as the stages' contracts are known. */
export function checkContracts(effective: EffectivePipeline, stages: Stages): FieldError[] {
  const errors: FieldError[] = []
  for (const [name, step] of Object.entries(effective.steps)) {
    const input = stages.get(step.stage)?.contracts?.input
    if (step.after.length === 0) {
      const fault = findMismatch(effective.input, input)
      if (fault !== undefined) {
        errors.push({
          path: '/input',
          code: 'contract_mismatch',
          message: `the pipeline's input does not suit ${step.stage} of step "${name}": ${fault}`,
        })
      }
    }
    for (const [position, edge] of step.after.entries()) {
      const source = Object.hasOwn(effective.steps, edge.step)
        ? effective.steps[edge.step]
        : undefined
      const output = source && stages.get(source.stage)?.contracts?.output
      const fault =
        (edge.each === true ? findMismatch(output, { type: 'array' }) : undefined) ??
        findMismatch(sent(edge, output), taken(step, edge, input))
      if (fault === undefined) continue
      errors.push({
        path: pointer(`${pointer('/steps', name)}/after`, position),
        code: 'contract_mismatch',
        message: `the output of ${source?.stage} does not suit the input of ${step.stage}: ${fault}`,
      })
    }
  }
  return errors
}
