import { JOB_STATUSES, type JobStatus, WeirError } from '@weir/contracts'
import type { JobFilter } from '@weir/postgres'
import { type Static, type TSchema, Type } from 'typebox'
import { limitOf, oneOf, time } from '../http/schemas.ts'

const word = Type.Optional(Type.String({ minLength: 1, maxLength: 255 }))

const filters = {
  status: Type.Optional(Type.Array(oneOf(JOB_STATUSES), { maxItems: 8 })),
  pipeline: word,
  correlationId: word,
  idempotencyKey: word,
  failedStep: word,
  from: Type.Optional(time),
  to: Type.Optional(time),
}
const filter = Type.Object(filters)
const list = Type.Object({
  ...filters,
  limit: limitOf(50, 500),
  cursor: Type.Optional(Type.String({ maxLength: 64 })),
})

/** With `tag.<key>=<value>` as often as there are keys. */
const withTags = <Schema extends TSchema & { readonly properties: object }>({
  properties,
}: Schema) =>
  Type.Unsafe<Static<Schema>>({
    type: 'object',
    properties,
    patternProperties: { '^tag\\.[A-Za-z0-9._:/-]{1,64}$': { type: 'string', maxLength: 256 } },
    additionalProperties: false,
  })

/** The filters of jobs, in a query. */
export const filterQuerySchema = withTags(filter)
/** The same, and which page of a list. */
export const listQuerySchema = withTags(list)

/** Tags of a query, by their keys. */
export function tagsOf(query: object): Record<string, string> {
  return Object.fromEntries(
    Object.entries(query)
      .filter(([name]) => name.startsWith('tag.'))
      .map(([name, value]) => [name.slice('tag.'.length), String(value)]),
  )
}

export function toFilter(
  query: Static<typeof filter>,
  tagValues: Readonly<Record<string, string>> = tagsOf(query),
): JobFilter {
  const { status, pipeline, correlationId, idempotencyKey, failedStep } = query
  const tags = Object.entries(tagValues).map(([key, value]) => `${key}=${value}`)
  return {
    ...(status === undefined ? {} : { status: status as JobStatus[] }),
    ...(pipeline === undefined ? {} : { pipeline }),
    ...(correlationId === undefined ? {} : { correlationId }),
    ...(idempotencyKey === undefined ? {} : { idempotencyKey }),
    ...(failedStep === undefined ? {} : { failedStep }),
    ...toDates({ from: query.from, to: query.to }),
    ...(tags.length === 0 ? {} : { tags }),
  }
}

/** The bounds of a list in time, those that were given. */
export function toDates(texts: {
  readonly from: string | undefined
  readonly to: string | undefined
}): { readonly from?: Date; readonly to?: Date } {
  return Object.fromEntries(
    Object.entries(texts).flatMap(([name, text]) =>
      text === undefined ? [] : [[name, toDate(name, text)]],
    ),
  )
}

function toDate(name: string, text: string): Date {
  const date = new Date(text)
  if (!Number.isNaN(date.getTime()) && date.getUTCFullYear() >= 1970) return date
  const message = 'is no time that can be looked for'
  const errors = [{ path: `/${name}`, code: 'format', message }]
  throw new WeirError('invalid_request', 'A time of the query is not valid.', { errors })
}
