import { JOB_STATUSES, type JobStatus, limits, WeirError } from '@weir/contracts'
import type { JobFilter } from '@weir/postgres'
import { type Static, Type } from 'typebox'
import { closed, oneOf, time } from '../http/schemas.ts'
import { toFilter } from '../jobs/list-query.ts'

const word = Type.Optional(Type.String({ minLength: 1, maxLength: 255 }))
const status = oneOf(JOB_STATUSES)

/** The filters of `GET /v1/jobs`, in a body. */
export const filterSchema = Type.Object(
  {
    status: Type.Optional(
      Type.Union([status, Type.Array(status, { minItems: 1, maxItems: JOB_STATUSES.length })]),
    ),
    pipeline: word,
    tags: Type.Optional(
      Type.Record(
        Type.String({ pattern: `^[A-Za-z0-9._:/-]{1,${limits.tagKeyLength}}$` }),
        Type.String({ maxLength: limits.tagValueLength }),
        { maxProperties: limits.tags, ...closed },
      ),
    ),
    correlationId: word,
    idempotencyKey: word,
    failedStep: word,
    from: Type.Optional(time),
    to: Type.Optional(time),
  },
  closed,
)

export type FilterBody = Static<typeof filterSchema>

/** What can still be cancelled: all else has ended, or is on the way to it. */
const CANCELLABLE: readonly JobStatus[] = ['queued', 'running']

/**
 * The jobs to cancel that a filter names; undefined where none can be. Throws where it names all of
 * them without saying so: a filter that was forgotten must not end everything.
 */
export function toCancelFilter(
  body: FilterBody,
  isAll: boolean,
): (JobFilter & { readonly status: readonly JobStatus[] }) | undefined {
  const { status: wanted, tags = {}, ...rest } = body
  const filter = toFilter(rest, tags)
  const isEmpty = wanted === undefined && Object.keys(filter).length === 0
  if (isEmpty !== isAll) throw unclear(isEmpty)
  const statuses = wanted === undefined ? CANCELLABLE : [wanted].flat()
  const status = CANCELLABLE.filter((one) => statuses.includes(one))
  return status.length === 0 ? undefined : { ...filter, status }
}

function unclear(isEmpty: boolean): WeirError {
  const [code, message] = isEmpty
    ? ['empty', 'names no job in particular; say `"all": true` where every one is meant']
    : ['too_much', 'stands beside `all`, which means every job']
  return new WeirError('invalid_request', 'The filter is not clear.', {
    errors: [{ path: '/filter', code: code as string, message: message as string }],
  })
}
