import { type FieldError, limits, type PipelineDocument, pipelineSchema } from '@weir/contracts'
import { describeFaults, type PlainSchema } from './describe-faults.ts'

export type ParsedPipeline =
  | { readonly document: PipelineDocument }
  | { readonly errors: readonly FieldError[] }

const tooLarge = (path: string, message: string): FieldError => ({
  path,
  code: 'too_large',
  message,
})

/**
 * Looks at no more of the value than a document may have: text of YAML with aliases can stand for
 * a structure far larger than itself.
 */
function measure(value: unknown): FieldError | undefined {
  let left: number = limits.pipelineBytes
  const visit = (node: unknown, depth: number): FieldError | undefined => {
    if (depth > limits.jsonDepth) {
      return tooLarge('', `the document is nested deeper than ${limits.jsonDepth} levels`)
    }
    left -= typeof node === 'string' ? node.length + 2 : 2
    if (left < 0) {
      return tooLarge('', `the document has more than ${limits.pipelineBytes} bytes`)
    }
    if (node === null || typeof node !== 'object') return undefined
    for (const [name, member] of Object.entries(node)) {
      if (!Array.isArray(node)) left -= name.length + 3
      const fault = visit(member, depth + 1)
      if (fault !== undefined) return fault
    }
    return undefined
  }
  return visit(value, 0)
}

function countGraph(value: unknown): FieldError | undefined {
  if (value === null || typeof value !== 'object') return undefined
  const steps: unknown = (value as { steps?: unknown }).steps
  if (steps === null || typeof steps !== 'object' || Array.isArray(steps)) return undefined
  let stepCount = 0
  let edgeCount = 0
  for (const name in steps) {
    if (++stepCount > limits.pipelineSteps) {
      return tooLarge('/steps', `a pipeline has at most ${limits.pipelineSteps} steps`)
    }
    const step: unknown = (steps as Record<string, unknown>)[name]
    const after = step !== null && typeof step === 'object' && 'after' in step ? step.after : []
    edgeCount += Array.isArray(after) ? after.length : 0
    if (edgeCount > limits.pipelineEdges) {
      return tooLarge('/steps', `a pipeline has at most ${limits.pipelineEdges} edges`)
    }
  }
  return undefined
}

/**
 * A value from outside as a pipeline document, or its faults: `too_large`, `required`,
 * `unknown_field`, `invalid_type`, `invalid_value`, `invalid_name`. Shape and sizes only; whether
 * the graph makes sense is for `checkPipeline`.
 */
export function parsePipeline(value: unknown): ParsedPipeline {
  const oversize = countGraph(value) ?? measure(value)
  if (oversize !== undefined) return { errors: [oversize] }
  const errors = describeFaults(pipelineSchema as unknown as PlainSchema, value)
  return errors.length > 0 ? { errors } : { document: value as PipelineDocument }
}
