import { randomBytes, randomUUID } from 'node:crypto'
import { context, INVALID_SPAN_CONTEXT, type Span, SpanKind, trace } from '@opentelemetry/api'
import { newUuid } from '@weir/contracts'
import {
  type LogContext,
  parseTraceparent,
  startSpan,
  traceparentOf,
  withLogContext,
} from '@weir/runtime'
import type { Denial } from '../audit/note-problem.ts'
import type { Caller } from '../auth/caller.ts'
import type { Cause } from '../flow/refusals.ts'
import type { App, Request } from './type-provider.ts'

/** What is known of a request while it is served. */
export type RequestScope = {
  readonly requestId: string
  readonly correlationId: string
  /** W3C context for the jobs of this request: the server span's, or ids of its own without telemetry. */
  readonly traceparent: string
  readonly traceId: string
  /** The caller's own context says that nothing is recorded. */
  readonly isTraceRefused: boolean
  readonly span: Span
  readonly startedAtMs: number
  /** What each line of the request names; tenant and job as soon as they are known. */
  readonly logContext: LogContext
  /** Set when the credential has been verified. */
  caller?: Caller
  /** Job that the request is about, for span and log. */
  jobId?: string
  /** Set where the request was not let in: why, for the audit log. */
  denial?: Denial
  /** Code of the problem that was answered. */
  problem?: string
  /** Set where it was refused for now (429): who is the cause, and which stage where it is one. */
  refusal?: { readonly cause: Cause; readonly stage: string }
}

declare module 'fastify' {
  interface FastifyRequest {
    scope: RequestScope
  }
}

/** Asked every few seconds by whoever watches: their traces would hide all others. */
const UNTRACED = new Set(['/healthz', '/readyz', '/metrics'])

const SAFE_ID = /^[A-Za-z0-9._:-]{1,128}$/

function openScope(request: Request): RequestScope {
  const { headers, method, routeOptions } = request
  const given = typeof headers.traceparent === 'string' ? headers.traceparent : undefined
  const parent = parseTraceparent(given)
  const correlation = headers['x-correlation-id']
  const route = routeOptions.url ?? 'unmatched'
  const span = UNTRACED.has(route)
    ? trace.wrapSpanContext(INVALID_SPAN_CONTEXT)
    : startSpan(`${method} ${route}`, {
        kind: SpanKind.SERVER,
        attributes: { 'http.request.method': method, 'http.route': route },
        ...(parent === undefined ? { isRoot: true } : { parent: given }),
      })
  const own = traceparentOf(span)
  const isRecorded = own !== undefined && span.spanContext().spanId !== parent?.spanId
  const traceId = isRecorded
    ? span.spanContext().traceId
    : (parent?.traceId ?? randomBytes(16).toString('hex'))
  const requestId = newUuid()
  const correlationId =
    typeof correlation === 'string' && SAFE_ID.test(correlation) ? correlation : randomUUID()
  // Without a span of ours the flag stays what the caller said: nobody records for us here.
  const traceparent = isRecorded
    ? own
    : `00-${traceId}-${randomBytes(8).toString('hex')}-0${(parent?.traceFlags ?? 0) & 1}`
  const scope: RequestScope = {
    requestId,
    correlationId,
    traceparent,
    traceId,
    isTraceRefused: parent !== undefined && (parent.traceFlags & 1) === 0,
    span,
    startedAtMs: performance.now(),
    logContext: {
      request: requestId,
      correlation: correlationId,
      traceparent,
      get tenant() {
        return scope.caller?.tenant?.id
      },
      get job() {
        return scope.jobId
      },
    },
  }
  return scope
}

/**
 * Gives every request its ids and server span, and runs what follows inside of them. The body's
 * events come from the socket, outside of that: so it is entered a second time after the parsing.
 */
export function addRequestScope(app: App): void {
  const enter = (request: Request, done: () => void) => {
    const { span, logContext } = request.scope
    context.with(trace.setSpan(context.active(), span), () => withLogContext(logContext, done))
  }
  app.decorateRequest('scope', null as unknown as RequestScope)
  app.addHook('onRequest', (request, reply, done) => {
    request.scope = openScope(request)
    reply.headers({
      'x-request-id': request.scope.requestId,
      'x-trace-id': request.scope.traceId,
      'x-correlation-id': request.scope.correlationId,
      'cache-control': 'no-store',
      'x-content-type-options': 'nosniff',
      'referrer-policy': 'no-referrer',
    })
    enter(request, done)
  })
  app.addHook('preValidation', (request, _reply, done) => enter(request, done))
}
