import { hash } from 'node:crypto'
import {
  canonicalJson,
  defaults,
  type FieldError,
  limits,
  newUuid,
  WeirError,
} from '@weir/contracts'
import type { RequestScope } from '../http/request-scope.ts'
import type { InputChecker } from '../inputs/input-checker.ts'
import type { Submit } from './admit.ts'
import type { BatchJob } from './job-schema.ts'
import type { Target } from './targets.ts'

/** A submit that is valid and has its target, as the admission takes it. */
export function toNewJob(
  pipeline: string,
  target: Target,
  job: BatchJob,
  input: string,
  scope: Pick<RequestScope, 'traceparent' | 'correlationId'>,
): Submit {
  const { idempotencyKey = null, ...said } = job
  return {
    id: newUuid(),
    pipeline,
    version: target.version,
    planId: target.planId,
    priority: job.priority ?? defaults.priority,
    orderingKey: job.orderingKey ?? null,
    correlationId: job.correlationId ?? scope.correlationId,
    traceparent: scope.traceparent,
    tags: Object.entries(job.tags ?? {}).map(([key, value]) => `${key}=${value}`),
    input,
    deadlineMs: job.deadlineMs ?? target.deadlineMs,
    weight: 1,
    queueMax: target.overload.queueMax,
    idempotencyKey,
    // Canonical: the same submit written otherwise is the same submit.
    bodyHash: idempotencyKey === null ? null : hash('sha256', canonicalJson(said), 'buffer'),
  }
}

/** JSON text of an input, or `payload_too_large`. */
export function inputText(value: unknown): string {
  const text = JSON.stringify(value)
  if (text.length > limits.inputBytes || Buffer.byteLength(text) > limits.inputBytes) {
    throw new WeirError('payload_too_large', `An input has at most ${limits.inputBytes} bytes.`)
  }
  return text
}

/** The faults of inputs under their pipeline's contract; `pathOf` says where in the request each stands. */
export async function findInputFaults(
  checker: InputChecker,
  schema: string | undefined,
  inputs: readonly string[],
  pathOf: (index: number) => string,
): Promise<FieldError[]> {
  if (schema === undefined) return []
  const verdict = await checker.check(schema, inputs)
  return verdict.flatMap((faults, index) =>
    faults.map(({ path, code, message }) => ({ path: pathOf(index) + path, code, message })),
  )
}

const ERRORS_MAX = 20

export function invalidInput(errors: readonly FieldError[]): WeirError {
  const detail = 'The input does not fit the pipeline’s contract.'
  return new WeirError('invalid_input', detail, { errors: errors.slice(0, ERRORS_MAX) })
}
