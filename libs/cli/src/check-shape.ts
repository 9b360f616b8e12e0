import { pipelineSchema } from '@weir/contracts'
import type { FieldError } from '@weir/contracts/errors'
import { Errors } from 'typebox/value'

type Fault = ReturnType<typeof Errors>[number]

/**
 * The first faults in the shape of a pipeline document, one a place. Whether its steps form a graph
 * and its stages exist, only a server knows.
 */
export function checkShape(document: unknown): readonly FieldError[] {
  const faults = Errors(pipelineSchema, document)
  const byPath = Map.groupBy(faults, ({ instancePath }) => instancePath)
  const isAbove = (path: string): boolean =>
    [...byPath.keys()].some((other) => other.startsWith(`${path}/`))
  return [...byPath].flatMap(([path, own]) => {
    // That a closed object has a wrong member, and that no branch of a union fits, is said where
    // the member stands and where the nearest branch fails.
    const said = own.filter(
      ({ keyword, schemaPath }) =>
        !['additionalProperties', 'anyOf'].includes(keyword) &&
        !(schemaPath.includes('/anyOf/') && isAbove(path)),
    )
    return said.length === 0 ? [] : [describe(path, said)]
  })
}

function describe(path: string, faults: readonly Fault[]): FieldError {
  const [first] = faults as [Fault]
  if (first.message === 'schema is false') {
    return { path, code: 'unknown_member', message: 'is no member that a pipeline has' }
  }
  const messages = new Set(faults.map(({ message }) => message))
  const values = faults.flatMap(({ keyword, params }) =>
    keyword === 'const' ? [String((params as { allowedValue: unknown }).allowedValue)] : [],
  )
  const message =
    values.length > 0 ? `must be one of ${values.join(', ')}` : [...messages].join(' or ')
  return { path, code: first.keyword, message }
}
