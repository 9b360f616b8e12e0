import type { ClientError } from './internals.ts'

/**
 * - `deadline`: not acknowledged in time; the records may or may not be in the log.
 * - `too_large`: this record exceeds the topic's or the request's limit; it is not in the log.
 * - `rejected`: the broker refused it for good (code in the message).
 * - `unknown_topic`: retrying does not help by itself.
 * - `unauthorized`: the credential, or the way we connect, is refused; retrying does not help either.
 * - `closed`: the producer, consumer or reader was stopped.
 * - `not_empty`: an operation that needs a group without members found some.
 */
export type KafkaErrorCode =
  | 'deadline'
  | 'too_large'
  | 'rejected'
  | 'unknown_topic'
  | 'unauthorized'
  | 'closed'
  | 'not_empty'

export class KafkaError extends Error {
  override readonly name = 'KafkaError'
  readonly code: KafkaErrorCode

  constructor(code: KafkaErrorCode, message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause })
    this.code = code
  }
}

const AUTH_TYPES = new Set([
  'TOPIC_AUTHORIZATION_FAILED',
  'GROUP_AUTHORIZATION_FAILED',
  'CLUSTER_AUTHORIZATION_FAILED',
  'TRANSACTIONAL_ID_AUTHORIZATION_FAILED',
  'SASL_AUTHENTICATION_FAILED',
  'UNSUPPORTED_SASL_MECHANISM',
])

/** The client wraps errors in errors: the innermost protocol type is what decides. */
export function protocolType(error: unknown): string | undefined {
  let current = error as ClientError | undefined
  for (let depth = 0; current !== undefined && current !== null && depth < 8; depth++) {
    if (typeof current.type === 'string') return current.type
    current = (current.cause ?? current.errors?.[0]) as ClientError | undefined
  }
  return undefined
}

export function isUnauthorized(error: unknown): boolean {
  if (error instanceof KafkaError) return error.code === 'unauthorized'
  const type = protocolType(error)
  if (type !== undefined && AUTH_TYPES.has(type)) return true
  let current = error as ClientError | undefined
  for (let depth = 0; current !== undefined && current !== null && depth < 8; depth++) {
    if (current.name === 'KafkaJSSASLAuthenticationError') return true
    current = current.cause as ClientError | undefined
  }
  return false
}

/** Turns what the client threw into one of our codes; ours pass through. */
export function toKafkaError(error: unknown, doing: string): KafkaError {
  if (error instanceof KafkaError) return error
  const type = protocolType(error)
  const message = `${doing}: ${messageOf(error)}`
  if (isUnauthorized(error)) return new KafkaError('unauthorized', message, error)
  if (type === 'UNKNOWN_TOPIC_OR_PARTITION' || type === 'INVALID_TOPIC_EXCEPTION') {
    return new KafkaError('unknown_topic', message, error)
  }
  return new KafkaError('rejected', message, error)
}

/** What several topics were refused for is in a list beside a message that says nothing. */
function messageOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  const [first] = (error as ClientError).errors ?? []
  return first === undefined ? error.message : `${error.message}: ${first.message}`
}
