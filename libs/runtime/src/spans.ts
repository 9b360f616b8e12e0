import {
  type Attributes,
  type Context,
  context,
  ROOT_CONTEXT,
  type Span,
  type SpanContext,
  SpanKind,
  SpanStatusCode,
  TraceFlags,
  trace,
} from '@opentelemetry/api'

const LENGTH = 55
const HEX = /^[0-9a-f]+$/
const NO_TRACE = '0'.repeat(32)
const NO_SPAN = '0'.repeat(16)

/** The context that a W3C `traceparent` names, or undefined when it is none. */
export function parseTraceparent(text: string | undefined): SpanContext | undefined {
  if (text === undefined || text.length < LENGTH) return undefined
  const version = text.slice(0, 2)
  // Later versions may have more to say behind the same beginning.
  if (version === 'ff' || !HEX.test(version)) return undefined
  if (version === '00' ? text.length !== LENGTH : text[LENGTH] !== '-' && text.length > LENGTH) {
    return undefined
  }
  const traceId = text.slice(3, 35)
  const spanId = text.slice(36, 52)
  const flags = text.slice(53, 55)
  if (text[2] !== '-' || text[35] !== '-' || text[52] !== '-') return undefined
  if (!HEX.test(traceId) || !HEX.test(spanId) || !HEX.test(flags)) return undefined
  if (traceId === NO_TRACE || spanId === NO_SPAN) return undefined
  return { traceId, spanId, traceFlags: Number.parseInt(flags, 16), isRemote: true }
}

export function formatTraceparent({ traceId, spanId, traceFlags }: SpanContext): string {
  return `00-${traceId}-${spanId}-0${traceFlags & TraceFlags.SAMPLED}`
}

/**
 * Whether the message's trace is recorded: reads one character, so that hot paths can skip all span
 * work when it is not.
 */
export function isSampled(traceparent: string | undefined): boolean {
  if (traceparent === undefined || traceparent.length < LENGTH) return false
  const code = traceparent.charCodeAt(54)
  // '0'-'9' and 'a'-'f': the lowest bit of the digit decides.
  return ((code <= 57 ? code - 48 : code - 87) & 1) === 1
}

export type SpanOptions = {
  readonly kind?: SpanKind
  readonly attributes?: Attributes
  /** A `traceparent`: the parent is in another process. Without it the active span is the parent. */
  readonly parent?: string | undefined
  /** Starts a trace of its own, whatever is active. */
  readonly isRoot?: boolean
  /** `traceparent`s; not the parent's own, which viewers would then show as a link only. */
  readonly links?: readonly string[]
  /** Milliseconds since the epoch. */
  readonly startTimeMs?: number
}

const tracer = trace.getTracer('weir')

/** Starts a span; the caller ends it. Without telemetry it costs next to nothing. */
export function startSpan(name: string, options: SpanOptions = {}): Span {
  const links = (options.links ?? []).flatMap((link) => {
    const linked = parseTraceparent(link)
    return linked === undefined ? [] : [{ context: linked }]
  })
  return tracer.startSpan(
    name,
    {
      kind: options.kind ?? SpanKind.INTERNAL,
      ...(options.attributes === undefined ? {} : { attributes: options.attributes }),
      ...(links.length === 0 ? {} : { links }),
      ...(options.startTimeMs === undefined ? {} : { startTime: options.startTimeMs }),
    },
    parentContext(options),
  )
}

export function failSpan(span: Span, error: unknown, errorType?: string): void {
  const name = error instanceof Error ? error.name : 'Error'
  span.setAttribute('error.type', errorType ?? name)
  span.setStatus({
    code: SpanStatusCode.ERROR,
    message: String((error as Error)?.message ?? error),
  })
}

/** What a message that this span sends has to carry; undefined when there is no trace. */
export function traceparentOf(span: Span): string | undefined {
  const spanContext = span.spanContext()
  return spanContext.traceId === NO_TRACE ? undefined : formatTraceparent(spanContext)
}

function parentContext({ parent, isRoot = false }: SpanOptions): Context {
  if (isRoot) return ROOT_CONTEXT
  if (parent === undefined) return context.active()
  const remote = parseTraceparent(parent)
  return remote === undefined ? ROOT_CONTEXT : trace.setSpanContext(ROOT_CONTEXT, remote)
}
