/** Marks values that carry an outcome, across copies of this package. */
export const OUTCOME = Symbol.for('weir.outcome')

/** The task fails for good: no retry. `code` is stable and `snake_case`; the tenant sees both. */
export class Permanent extends Error {
  readonly [OUTCOME] = true
  readonly weir = 'permanent'
  readonly code: string

  constructor(code: string, message: string, options?: { readonly cause?: unknown }) {
    super(message, options)
    this.name = 'Permanent'
    this.code = code
  }
}

/** The task is tried again by the step's policy, no sooner than `retryAfterMs` where it is given. */
export class Transient extends Error {
  readonly [OUTCOME] = true
  readonly weir = 'transient'
  readonly code: string
  readonly retryAfterMs: number | undefined

  constructor(
    code: string,
    message: string,
    options: { readonly retryAfterMs?: number; readonly cause?: unknown } = {},
  ) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    this.name = 'Transient'
    this.code = code
    this.retryAfterMs = options.retryAfterMs
  }
}

/** Recognises by brand: a stage may have been built with another copy of this package. */
export function isBranded(value: unknown): value is { readonly weir: unknown } {
  return typeof value === 'object' && value !== null && OUTCOME in value && 'weir' in value
}
