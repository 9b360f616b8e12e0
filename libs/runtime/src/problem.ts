import { errorTable, WeirError } from '@weir/contracts'

export type Problem = {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly body: Readonly<Record<string, unknown>>
}

const MEDIA_TYPE = 'application/problem+json'

/** RFC 9457. What is not a `WeirError` is `internal`, and silent about its cause. */
export function toProblem(error: unknown, requestId: string): Problem {
  const known = WeirError.is(error) ? error : new WeirError('internal', 'The cause is in the log')
  const spec = errorTable[known.code]
  const headers: Record<string, string> = { 'content-type': MEDIA_TYPE }
  if (known.retryAfterS !== undefined) {
    headers['retry-after'] = String(Math.max(1, Math.ceil(known.retryAfterS)))
  }
  return {
    status: spec.status,
    headers,
    body: {
      // First, so that they can never overwrite a standard member.
      ...known.members,
      ...(known.errors === undefined ? {} : { errors: known.errors }),
      type: `/problems/${known.code}`,
      title: spec.title,
      status: spec.status,
      detail: known.message,
      instance: `urn:request:${requestId}`,
      code: known.code,
    },
  }
}
