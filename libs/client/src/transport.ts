import { setTimeout as pause } from 'node:timers/promises'
import { ClientError, toClientError } from './client-error.ts'

export type RetryOptions = {
  /** Requests in all, the first one too; 1 never repeats. */
  readonly attempts: number
  /** No single wait is longer: where the server asks for more, its refusal is thrown at once. */
  readonly waitMaxMs: number
}

export type ClientOptions = {
  /** Where the API is: `http://127.0.0.1:8080`. */
  readonly baseUrl: string
  /** `weir_<keyId>_<secret>`; without one only the public calls answer. */
  readonly key?: string | undefined
  /** For operators who act inside a tenant: its id, and the reason for its audit log. */
  readonly tenant?: { readonly id: string; readonly reason: string } | undefined
  /** How long an answer may take, beyond what a call itself asks the server to wait; 30 000. */
  readonly timeoutMs?: number
  /** What becomes of 429 and 503 answers to idempotent calls; 4 attempts, waits up to 30 s. */
  readonly retry?: Partial<RetryOptions>
  /** Told before each wait. */
  readonly onRetry?: (error: ClientError, waitMs: number) => void
  /** Ends every call that is under way, and every wait. */
  readonly signal?: AbortSignal
}

export type Query = Readonly<
  Record<string, string | number | boolean | readonly string[] | undefined>
>

export type Call = {
  readonly method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'
  readonly path: string
  readonly query?: Query
  /** Sent as JSON. */
  readonly json?: unknown
  /** Sent as it is. */
  readonly text?: { readonly type: string; readonly body: string } | undefined
  readonly headers?: Readonly<Record<string, string | undefined>>
  /** Whether sending it twice does what sending it once does; GET, PUT and DELETE are. */
  readonly isIdempotent?: boolean
  /** Milliseconds that the server was asked to wait before it answers. */
  readonly waitMs?: number | undefined
  readonly signal?: AbortSignal | undefined
}

export type Answer<Body> = {
  readonly status: number
  readonly headers: Headers
  readonly body: Body
}

export type Transport = {
  /** A successful answer; throws `ClientError`, or the reason of the signal. */
  send<Body>(call: Call): Promise<Answer<Body>>
  /** The body of a successful answer. */
  call<Body>(call: Call): Promise<Body>
  /** A response whose body the caller reads, without a limit of time; not retried. */
  open(call: Call): Promise<Response>
  readonly signal: AbortSignal | undefined
}

const TIMEOUT_MS = 30_000
const RETRY: RetryOptions = { attempts: 4, waitMaxMs: 30_000 }
const BACKOFF_BASE_MS = 250

/** Speaks HTTP with one API under one credential. */
export function createTransport(options: ClientOptions): Transport {
  const base = options.baseUrl.replace(/\/+$/, '')
  const timeoutMs = options.timeoutMs ?? TIMEOUT_MS
  const retry = { ...RETRY, ...options.retry }

  async function request(call: Call, signal: AbortSignal | undefined): Promise<Response> {
    const { text, json, headers = {} } = call
    const body = text?.body ?? (json === undefined ? undefined : JSON.stringify(json))
    const type = text?.type ?? (json === undefined ? undefined : 'application/json')
    const all = {
      accept: 'application/json, application/problem+json',
      authorization: options.key === undefined ? undefined : `Bearer ${options.key}`,
      'content-type': type,
      'x-weir-tenant': options.tenant?.id,
      // A header holds one line of ASCII; a reason is a sentence in any language.
      'x-weir-reason': options.tenant && toHeaderText(options.tenant.reason),
      ...headers,
    }
    try {
      return await fetch(`${base}${call.path}${formatQuery(call.query)}`, {
        method: call.method,
        headers: Object.entries(all).filter((entry): entry is [string, string] => {
          return entry[1] !== undefined
        }),
        // A redirect would take the body, and on the same host the key, to where nobody asked.
        redirect: 'manual',
        ...(body === undefined ? {} : { body }),
        ...(signal === undefined ? {} : { signal }),
      })
    } catch (error) {
      throw toNoAnswer(error, base, signal)
    }
  }

  async function once<Body>(call: Call): Promise<Answer<Body>> {
    const deadline = AbortSignal.timeout(timeoutMs + (call.waitMs ?? 0))
    const signal = AbortSignal.any([deadline, ...signalsOf(call, options)])
    const response = await request(call, signal)
    let text: string
    try {
      text = await response.text()
    } catch (error) {
      throw toNoAnswer(error, base, signal)
    }
    const { status, headers } = response
    if (!response.ok) throw toClientError(status, headers, text)
    return { status, headers, body: parseBody<Body>(status, text) }
  }

  async function send<Body>(call: Call): Promise<Answer<Body>> {
    const isIdempotent = call.isIdempotent ?? ['GET', 'PUT', 'DELETE'].includes(call.method)
    for (let attempt = 1; ; attempt += 1) {
      try {
        return await once<Body>(call)
      } catch (error) {
        const waitMs = isIdempotent ? waitBefore(error, attempt) : undefined
        if (waitMs === undefined) throw error
        options.onRetry?.(error as ClientError, waitMs)
        const signals = signalsOf(call, options)
        await pause(waitMs, undefined, { signal: AbortSignal.any(signals) })
      }
    }
  }

  /** How long to wait after a refusal; undefined where it is final. */
  function waitBefore(error: unknown, attempt: number): number | undefined {
    if (!ClientError.is(error) || attempt >= retry.attempts) return undefined
    if (error.status !== 429 && error.status !== 503) return undefined
    const backoffMs = BACKOFF_BASE_MS * 2 ** (attempt - 1) * (0.5 + Math.random() / 2)
    const waitMs = error.retryAfterS === undefined ? backoffMs : error.retryAfterS * 1_000
    return waitMs <= retry.waitMaxMs ? waitMs : undefined
  }

  return {
    send,
    call: async <Body>(call: Call) => (await send<Body>(call)).body,
    signal: options.signal,
    async open(call) {
      // The limit is for the head of the response; its body lasts as long as it lasts.
      const head = new AbortController()
      const timer = setTimeout(() => head.abort(timeoutReason()), timeoutMs)
      const signal = AbortSignal.any([head.signal, ...signalsOf(call, options)])
      try {
        const response = await request(call, signal)
        if (response.ok) return response
        throw toClientError(response.status, response.headers, await response.text())
      } finally {
        clearTimeout(timer)
      }
    },
  }
}

const timeoutReason = () => new DOMException('no answer in time', 'TimeoutError')

function signalsOf(call: Call, options: ClientOptions): AbortSignal[] {
  return [call.signal, options.signal].filter((signal) => signal !== undefined)
}

function toNoAnswer(error: unknown, base: string, signal: AbortSignal | undefined): unknown {
  const reason = signal?.aborted ? signal.reason : error
  if ((reason as Error | undefined)?.name === 'TimeoutError') {
    const detail = `${base} did not answer in time`
    return new ClientError({ code: 'timed_out', status: 0, detail, cause: error })
  }
  if (signal?.aborted) return reason
  const { cause } = error as { cause?: { code?: string; message?: string } }
  const why = cause?.code ?? cause?.message ?? (error as Error).message
  const detail = `${base} cannot be reached (${why})`
  return new ClientError({ code: 'unreachable', status: 0, detail, cause: error })
}

function parseBody<Body>(status: number, text: string): Body {
  if (text === '') return undefined as Body
  try {
    return JSON.parse(text) as Body
  } catch (error) {
    const detail = `answered ${status} with a body that is not JSON, which is not an answer of Weir`
    throw new ClientError({ code: 'bad_answer', status, detail, cause: error })
  }
}

function formatQuery(query: Query = {}): string {
  const parameters = new URLSearchParams()
  for (const [name, value] of Object.entries(query)) {
    if (value === undefined) continue
    for (const one of Array.isArray(value) ? value : [value]) parameters.append(name, String(one))
  }
  const text = parameters.toString()
  return text === '' ? '' : `?${text}`
}

const toHeaderText = (text: string): string => text.replace(/[^\x20-\x7e]+/g, '?')

/**
 * One segment of a path, whatever it holds; `@` of a stage's reference stays readable. What an
 * address cannot hold as a segment (nothing, `.`, `..`) names no thing.
 */
export function segment(text: string): string {
  if (/^\.{0,2}$/.test(text)) {
    throw new ClientError({ code: 'not_found', status: 404, detail: `nothing is named "${text}"` })
  }
  return encodeURIComponent(text).replaceAll('%40', '@')
}
