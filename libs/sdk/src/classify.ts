import type { TaskError } from '@weir/contracts'
import type { AbortKind } from './abort.ts'
import type { Outcome } from './outcome.ts'
import { isBranded } from './task-errors.ts'

type Failure = Extract<Outcome, { status: 'fail' | 'retry' }>

const MESSAGE_MAX = 1_000

/** Codes of Node and undici that say: the network, not the request. */
const NETWORK_CODES = new Set([
  'ECONNRESET',
  'ECONNREFUSED',
  'ECONNABORTED',
  'EPIPE',
  'ETIMEDOUT',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'ENETDOWN',
  'UND_ERR_CONNECT_TIMEOUT',
  'UND_ERR_HEADERS_TIMEOUT',
  'UND_ERR_BODY_TIMEOUT',
  'UND_ERR_SOCKET',
])

/** The outcome of what a handler threw or rejected with. Anything unknown is worth another try. */
export function classifyThrown(thrown: unknown): Failure {
  if (isBranded(thrown)) return classifyBranded(thrown)
  const http = httpFailure(thrown)
  if (http !== null) return http
  const network = findCode(thrown)
  if (network !== null) {
    // The client's own message names hosts and ports of the installation.
    const error = transient('network_error', `The network failed (${network})`)
    return { status: 'retry', error, retryAfterMs: null }
  }
  if (isTimeout(thrown)) {
    const error = transient('upstream_timeout', 'Something that the task waited for timed out')
    return { status: 'retry', error, retryAfterMs: null }
  }
  const message = thrown instanceof Error ? messageOf(thrown) : 'The handler threw no error'
  return { status: 'retry', error: transient('handler_error', message), retryAfterMs: null }
}

/**
 * What an error says to the people who see the job. The text of a SyntaxError is the engine's own and
 * quotes what was parsed, which as a rule is the payload: it goes no further.
 */
export function messageOf(thrown: unknown): string {
  if (!(thrown instanceof Error)) return String(thrown)
  return thrown.name === 'SyntaxError' ? 'Something could not be parsed' : thrown.message
}

/** A violated contract: running the same code on the same input again would not help. */
export function contractFailure(code: string, message: string): Failure {
  return { status: 'fail', error: { code, message: bound(message), class: 'contract' } }
}

/** What an aborted task comes to, whatever its handler says afterwards. */
export function abortFailure(kind: AbortKind, timeoutMs: number): Failure {
  switch (kind) {
    case 'timeout': {
      const error = transient('timeout', `The handler took longer than ${timeoutMs} ms`)
      return { status: 'retry', error, retryAfterMs: null }
    }
    case 'shutdown': {
      const error = transient('instance_stopping', 'The instance stopped before the task had ended')
      return { status: 'retry', error, retryAfterMs: null }
    }
    case 'deadline':
      return failure('deadline_exceeded', 'The run was over its deadline', 'deadline')
    case 'cancelled':
      return failure('cancelled', 'The run was over before the task had ended', 'cancelled')
    default:
      return kind satisfies never
  }
}

function classifyBranded(thrown: { readonly weir: unknown }): Failure {
  const { code, message, retryAfterMs } = thrown as Partial<Record<string, unknown>>
  const text = typeof message === 'string' ? message : ''
  if (thrown.weir === 'permanent') {
    return failure(toCode(code, 'permanent_error'), bound(text), 'permanent')
  }
  if (thrown.weir === 'transient') {
    const error = transient(toCode(code, 'transient_error'), text)
    return { status: 'retry', error, retryAfterMs: toMs(retryAfterMs) }
  }
  return contractFailure('unknown_outcome', 'The handler threw an outcome that must be returned')
}

/** 429 and 503 as fetch wrappers, axios, got and the AWS clients report them. */
function httpFailure(thrown: unknown): Failure | null {
  if (typeof thrown !== 'object' || thrown === null) return null
  const error = thrown as {
    status?: unknown
    statusCode?: unknown
    headers?: unknown
    response?: { status?: unknown; statusCode?: unknown; headers?: unknown }
    $metadata?: { httpStatusCode?: unknown }
  }
  const { response } = error
  const status = [
    error.status,
    error.statusCode,
    response?.status,
    response?.statusCode,
    error.$metadata?.httpStatusCode,
  ].find((value) => value === 429 || value === 503)
  if (status === undefined) return null
  return {
    status: 'retry',
    error: {
      code: 'upstream_overloaded',
      message: `Something that the task called answered ${status}`,
      class: 'overload',
    },
    retryAfterMs: retryAfterOf(response?.headers ?? error.headers),
  }
}

function retryAfterOf(headers: unknown): number | null {
  if (typeof headers !== 'object' || headers === null) return null
  const value =
    headers instanceof Headers
      ? headers.get('retry-after')
      : (headers as Record<string, unknown>)['retry-after']
  const seconds = typeof value === 'string' && value.trim() !== '' ? Number(value) : Number.NaN
  return toMs(seconds * 1_000)
}

/** Depth of causes that is looked at: `fetch failed` hides the code one level down. */
const CAUSES_MAX = 4

function findCode(thrown: unknown): string | null {
  let error = thrown
  for (let i = 0; i < CAUSES_MAX && typeof error === 'object' && error !== null; i += 1) {
    const { code, cause } = error as { code?: unknown; cause?: unknown }
    if (typeof code === 'string' && NETWORK_CODES.has(code)) return code
    error = cause
  }
  return null
}

/** `AbortSignal.timeout` and the clients that copy it. */
const isTimeout = (thrown: unknown): boolean =>
  thrown instanceof Error && thrown.name === 'TimeoutError'

const transient = (code: string, message: string): TaskError => ({
  code,
  message: bound(message),
  class: 'transient',
})

const failure = (code: string, message: string, errorClass: TaskError['class']): Failure => ({
  status: 'fail',
  error: { code, message, class: errorClass },
})

const bound = (message: string): string => message.slice(0, MESSAGE_MAX)

function toCode(code: unknown, fallback: string): string {
  if (typeof code !== 'string') return fallback
  const clean = code.toLowerCase().replace(/[^a-z0-9_]/g, '_')
  return /^[a-z][a-z0-9_]{0,63}$/.test(clean) ? clean : fallback
}

const RETRY_AFTER_MAX_MS = 24 * 3_600_000

function toMs(value: unknown): number | null {
  if (typeof value !== 'number' || !(value >= 0)) return null
  return Math.min(Math.round(value), RETRY_AFTER_MAX_MS)
}
