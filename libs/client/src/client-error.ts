import { type ErrorCode, errorTable, type FieldError } from '@weir/contracts/errors'

/**
 * `unreachable`: no answer came (refused, reset, name not found). `timed_out`: none came in time.
 * `bad_answer`: something answered that is not Weir.
 */
export type ClientErrorCode = ErrorCode | 'unreachable' | 'timed_out' | 'bad_answer'

export type ClientErrorInit = {
  readonly code: ClientErrorCode
  /** HTTP status; 0 where no answer came. */
  readonly status: number
  readonly detail: string
  readonly title?: string
  /** Seconds, from `Retry-After`. */
  readonly retryAfterS?: number | undefined
  readonly errors?: readonly FieldError[] | undefined
  /** The other members of the problem document: `cause`, `stage`, `state`, `allowed`, … */
  readonly members?: Readonly<Record<string, unknown>>
  readonly requestId?: string | undefined
  readonly cause?: unknown
}

const BRAND = Symbol.for('weir.client-error')

/** The one error of this package: an answer that is a problem (RFC 9457), or no answer. */
export class ClientError extends Error {
  readonly code: ClientErrorCode
  readonly status: number
  readonly title: string
  readonly retryAfterS: number | undefined
  readonly errors: readonly FieldError[]
  readonly members: Readonly<Record<string, unknown>>
  readonly requestId: string | undefined
  readonly [BRAND] = true

  constructor(init: ClientErrorInit) {
    super(init.detail, init.cause === undefined ? undefined : { cause: init.cause })
    this.name = 'ClientError'
    this.code = init.code
    this.status = init.status
    this.title = init.title ?? init.detail
    this.retryAfterS = init.retryAfterS
    this.errors = init.errors ?? []
    this.members = init.members ?? {}
    this.requestId = init.requestId
  }

  /** Recognises the error by brand: a caller may hold another copy of this package. */
  static is(value: unknown): value is ClientError {
    return typeof value === 'object' && value !== null && BRAND in value
  }
}

const STANDARD = ['type', 'title', 'status', 'detail', 'instance', 'code', 'errors']

/** The error that an answer other than 2xx stands for, whatever its body is. */
export function toClientError(status: number, headers: Headers, text: string): ClientError {
  const retryAfterS = parseRetryAfter(headers.get('retry-after'))
  const requestId = headers.get('x-request-id') ?? undefined
  const problem = parseObject(text)
  const code = problem?.code
  if (problem === undefined || typeof code !== 'string' || !Object.hasOwn(errorTable, code)) {
    const start = text.trim().slice(0, 200)
    const detail = `answered ${status}${start === '' ? '' : `: ${start}`}, which is not an answer of Weir`
    const members = problem ?? {}
    return new ClientError({ code: 'bad_answer', status, detail, retryAfterS, requestId, members })
  }
  const { title, detail, errors } = problem
  return new ClientError({
    code: code as ErrorCode,
    status,
    title: typeof title === 'string' ? title : code,
    detail: typeof detail === 'string' ? detail : code,
    retryAfterS,
    errors: Array.isArray(errors) ? (errors as FieldError[]) : undefined,
    members: Object.fromEntries(Object.entries(problem).filter(([key]) => !STANDARD.includes(key))),
    requestId,
  })
}

function parseObject(text: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' && value !== null && !Array.isArray(value)
      ? (value as Record<string, unknown>)
      : undefined
  } catch {
    return undefined
  }
}

/** Seconds of a `Retry-After`, which is a number of seconds or a date; undefined where it is neither. */
export function parseRetryAfter(
  text: string | null,
  nowMs: number = Date.now(),
): number | undefined {
  if (text === null) return undefined
  if (/^\d{1,9}$/.test(text.trim())) return Number(text)
  const atMs = Date.parse(text)
  return Number.isNaN(atMs) ? undefined : Math.max(0, (atMs - nowMs) / 1_000)
}
