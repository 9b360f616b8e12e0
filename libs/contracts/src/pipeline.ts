import { type Static, Type } from 'typebox'
import { limits } from './limits.ts'
import { FAILURE_MODES } from './states.ts'

const oneOf = <const Values extends readonly string[]>(values: Values) =>
  Type.Union(values.map((value) => Type.Literal(value))) as unknown as ReturnType<
    typeof Type.Unsafe<Values[number]>
  >

const closed = { additionalProperties: false } as const
const name = Type.String({ pattern: '^[a-z][a-z0-9_-]{0,39}$' })

export const retrySchema = Type.Object(
  {
    attempts: Type.Optional(Type.Integer({ minimum: 1, maximum: 20 })),
    baseMs: Type.Optional(Type.Integer({ minimum: 1, maximum: 3_600_000 })),
    maxMs: Type.Optional(Type.Integer({ minimum: 1, maximum: 3_600_000 })),
    backoff: Type.Optional(oneOf(['exponential', 'linear', 'constant'] as const)),
    jitter: Type.Optional(oneOf(['none', 'full', 'equal', 'decorrelated'] as const)),
  },
  closed,
)
export type RetryDocument = Static<typeof retrySchema>

const edgeSchema = Type.Object(
  {
    step: name,
    as: Type.Optional(name),
    each: Type.Optional(Type.Boolean()),
    gather: Type.Optional(Type.Boolean()),
    when: Type.Optional(Type.String({ minLength: 1, maxLength: 64 })),
    maxItems: Type.Optional(Type.Integer({ minimum: 1, maximum: limits.fanOutItems })),
    maxRate: Type.Optional(Type.Number({ exclusiveMinimum: 0, maximum: 1_000_000 })),
    bufferRecordsMax: Type.Optional(Type.Integer({ minimum: 1, maximum: 10_000_000 })),
    latencyBudgetMs: Type.Optional(Type.Integer({ minimum: 1, maximum: 86_400_000 })),
    rationale: Type.Optional(Type.String({ maxLength: 1_000 })),
  },
  closed,
)
export type EdgeDocument = Static<typeof edgeSchema>

const joinSchema = Type.Object(
  {
    policy: Type.Optional(oneOf(['all', 'any', 'quorum'] as const)),
    n: Type.Optional(Type.Integer({ minimum: 1, maximum: limits.fanOutItems })),
    timeoutMs: Type.Optional(Type.Integer({ minimum: 1, maximum: 86_400_000 })),
    onTimeout: Type.Optional(oneOf(['fail', 'partial'] as const)),
  },
  closed,
)

const stepSchema = Type.Object(
  {
    stage: Type.String({ minLength: 3, maxLength: 45 }),
    after: Type.Optional(Type.Array(Type.Union([name, edgeSchema]), { maxItems: 100 })),
    join: Type.Optional(joinSchema),
    timeoutMs: Type.Optional(Type.Integer({ minimum: 1, maximum: 3_600_000 })),
    retry: Type.Optional(retrySchema),
    config: Type.Optional(Type.Record(Type.String({ maxLength: 128 }), Type.Unknown())),
  },
  closed,
)
export type StepDocument = Static<typeof stepSchema>

/** What a team writes and publishes: JSON, YAML or the TypeScript builder give the same document. */
export const pipelineSchema = Type.Object(
  {
    description: Type.Optional(Type.String({ maxLength: 2_000 })),
    onFailure: Type.Optional(oneOf(FAILURE_MODES)),
    onOverload: Type.Optional(oneOf(['block', 'reject', 'drop_oldest'] as const)),
    queueMax: Type.Optional(Type.Integer({ minimum: 1, maximum: 1_000_000 })),
    deadlineMs: Type.Optional(Type.Integer({ minimum: 1, maximum: limits.runMaxMs })),
    history: Type.Optional(oneOf(['full', 'final'] as const)),
    input: Type.Optional(Type.Unknown()),
    steps: Type.Record(name, stepSchema),
  },
  closed,
)
export type PipelineDocument = Static<typeof pipelineSchema>

export const PIPELINE_NAME = '^[a-z][a-z0-9-]{0,62}$'
