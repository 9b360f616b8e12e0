type ErrorSpec = { readonly status: number; readonly title: string; readonly retryable: boolean }

const spec = (status: number, title: string, retryable = false): ErrorSpec => ({
  status,
  title,
  retryable,
})

/** Every code that the API can answer. Codes are stable; titles are not. */
export const errorTable = {
  invalid_request: spec(400, 'The request is not valid'),
  unauthenticated: spec(401, 'No valid credential was given'),
  forbidden: spec(403, 'The credential does not allow this'),
  not_found: spec(404, 'There is no such thing here'),
  method_not_allowed: spec(405, 'The resource does not know this method'),
  not_acceptable: spec(406, 'No answer in an accepted media type'),
  request_timeout: spec(408, 'The request took too long to arrive', true),
  conflict: spec(409, 'The resource is in another state'),
  contract_incompatible: spec(409, 'The contract breaks an earlier one'),
  job_already_finished: spec(409, 'The job has already ended'),
  invalid_transition: spec(409, 'The state does not allow this operation'),
  version_conflict: spec(412, 'The resource has another version'),
  payload_too_large: spec(413, 'The request is too large'),
  uri_too_long: spec(414, 'The address is too long'),
  unsupported_media_type: spec(415, 'The content type is not supported'),
  invalid_pipeline: spec(422, 'The pipeline is not valid'),
  invalid_input: spec(422, 'The input does not fit its contract'),
  idempotency_mismatch: spec(422, 'The idempotency key was used with another body'),
  rate_limited: spec(429, 'Too many requests for now', true),
  quota_exceeded: spec(429, 'A quota is used up', true),
  backpressure: spec(429, 'The pipeline has no room for now', true),
  headers_too_large: spec(431, 'The header fields are too large'),
  internal: spec(500, 'Something went wrong on our side'),
  unavailable: spec(503, 'A part that is needed does not answer', true),
} as const satisfies Record<string, ErrorSpec>

export type ErrorCode = keyof typeof errorTable

/** One fault of a validated document; `path` is a JSON pointer. */
export type FieldError = {
  readonly path: string
  readonly code: string
  readonly message: string
  readonly fix?: string
  readonly [extra: string]: unknown
}

export type ErrorExtra = {
  readonly errors?: readonly FieldError[]
  /** Seconds; only for retryable codes. */
  readonly retryAfterS?: number
  /** Further members of the problem document; never a standard one. */
  readonly members?: Readonly<Record<string, unknown>>
  readonly cause?: unknown
}

const BRAND = Symbol.for('weir.error')

/** The one error class: the domain throws it with a code, the HTTP edge turns it into a problem. */
export class WeirError extends Error {
  readonly code: ErrorCode
  readonly errors: readonly FieldError[] | undefined
  readonly retryAfterS: number | undefined
  readonly members: Readonly<Record<string, unknown>>
  readonly [BRAND] = true

  constructor(code: ErrorCode, detail: string, extra: ErrorExtra = {}) {
    super(detail, extra.cause === undefined ? undefined : { cause: extra.cause })
    this.name = 'WeirError'
    this.code = code
    this.errors = extra.errors
    this.retryAfterS = extra.retryAfterS
    this.members = extra.members ?? {}
  }

  /** Recognises the error by brand: a caller may hold another copy of this package. */
  static is(value: unknown): value is WeirError {
    return typeof value === 'object' && value !== null && BRAND in value
  }
}
