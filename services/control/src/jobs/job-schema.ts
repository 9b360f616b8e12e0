import {
  eventSchemaName,
  JOB_STATUSES,
  type JobEvent,
  jobEventSchemas,
  STEP_STATUSES,
} from '@weir/contracts'
import { Type } from 'typebox'
import { nullable, oneOf, time } from '../http/schemas.ts'

const error = nullable(
  Type.Object({
    code: Type.String(),
    message: Type.String(),
    step: Type.Optional(Type.String()),
    item: Type.Optional(Type.String()),
    attempts: Type.Optional(Type.Integer()),
    class: Type.String(),
  }),
)

const summary = {
  id: Type.String(),
  pipeline: Type.String(),
  version: Type.Integer(),
  run: Type.Integer(),
  status: oneOf(JOB_STATUSES),
  priority: Type.Integer(),
  tags: Type.Record(Type.String(), Type.String()),
  orderingKey: nullable(Type.String()),
  correlationId: Type.String(),
  traceId: nullable(Type.String()),
  submittedAt: time,
  dispatchedAt: nullable(time),
  finishedAt: nullable(time),
  error,
}

export const jobSummarySchema = Type.Object(summary)

export const jobSchema = Type.Object({
  ...summary,
  notAfter: nullable(time),
  input: Type.Optional(Type.Unknown()),
  result: Type.Unknown(),
  cancel: Type.Optional(
    Type.Object({
      requestedAt: time,
      actor: Type.String(),
      reason: nullable(Type.String()),
    }),
  ),
  waitingFor: nullable(
    Type.Object({
      kind: oneOf([
        'quota',
        'limit',
        'stage_not_ready',
        'gate',
        'retry',
        'join',
        'approval',
      ] as const),
      detail: Type.String(),
      stage: Type.Optional(Type.String()),
      until: Type.Optional(time),
    }),
  ),
  steps: Type.Record(
    Type.String(),
    Type.Object({
      stage: Type.String(),
      status: oneOf(STEP_STATUSES),
      attempts: Type.Integer(),
      waitMs: Type.Number(),
      workMs: Type.Number(),
      startedAt: nullable(time),
      finishedAt: nullable(time),
      error,
      reason: nullable(Type.String()),
      items: Type.Optional(
        Type.Object({
          total: Type.Integer(),
          completed: Type.Integer(),
          skipped: Type.Integer(),
          failed: Type.Integer(),
        }),
      ),
      output: Type.Optional(Type.Unknown()),
      diverged: Type.Optional(Type.Boolean()),
    }),
  ),
  runs: Type.Array(
    Type.Object({
      run: Type.Integer(),
      status: oneOf(JOB_STATUSES),
      traceId: nullable(Type.String()),
      cause: Type.String(),
    }),
  ),
  links: Type.Object({
    self: Type.String(),
    events: Type.String(),
    trace: Type.Optional(Type.String()),
  }),
})

/** The schemas of the events, each under a name of its own in the document. */
export const namedEventSchemas = Object.entries(jobEventSchemas).map(([type, schema]) => ({
  ...schema,
  $id: eventSchemaName(type),
}))

/** One of them, by its type. */
export const eventSchema = Type.Unsafe<JobEvent>({
  oneOf: namedEventSchemas.map(({ $id }) => ({ $ref: `${$id}#` })),
  discriminator: {
    propertyName: 'type',
    mapping: Object.fromEntries(
      Object.keys(jobEventSchemas).map((type) => [
        type,
        `#/components/schemas/${eventSchemaName(type)}`,
      ]),
    ),
  },
})
