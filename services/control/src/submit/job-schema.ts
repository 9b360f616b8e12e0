import { limits } from '@weir/contracts'
import { type Static, Type } from 'typebox'
import { closed } from '../http/schemas.ts'

const TAG_KEY = `^[A-Za-z0-9._:/-]{1,${limits.tagKeyLength}}$`
const printable = '^[\\x20-\\x7e]+$'

const members = {
  input: Type.Unknown({ description: 'Any JSON value, as the pipeline’s input contract has it' }),
  priority: Type.Optional(Type.Integer({ minimum: 0, maximum: 255, default: 128 })),
  deadlineMs: Type.Optional(Type.Integer({ minimum: 1, maximum: limits.runMaxMs })),
  orderingKey: Type.Optional(
    Type.String({ minLength: 1, maxLength: limits.orderingKeyLength, pattern: printable }),
  ),
  correlationId: Type.Optional(Type.String({ pattern: '^[A-Za-z0-9._:-]{1,128}$' })),
  tags: Type.Optional(
    Type.Unsafe<Record<string, string>>({
      type: 'object',
      maxProperties: limits.tags,
      patternProperties: { [TAG_KEY]: { type: 'string', maxLength: limits.tagValueLength } },
      additionalProperties: false,
    }),
  ),
  version: Type.Optional(Type.Integer({ minimum: 1, maximum: 2_147_483_647 })),
}

/** A key that names one submit for 24 hours. */
export const idempotencyKeySchema = Type.String({
  minLength: 1,
  maxLength: limits.idempotencyKeyLength,
  pattern: printable,
})

export const submitSchema = Type.Object(members, closed)
export type Submit = Static<typeof submitSchema>

export const batchJobSchema = Type.Object(
  { ...members, idempotencyKey: Type.Optional(idempotencyKeySchema) },
  closed,
)
export const batchSchema = Type.Object(
  { jobs: Type.Array(batchJobSchema, { minItems: 1, maxItems: limits.batchJobs }) },
  closed,
)
export type BatchJob = Static<typeof batchJobSchema>
