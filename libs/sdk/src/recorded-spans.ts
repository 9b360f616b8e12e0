import { AsyncLocalStorage } from 'node:async_hooks'
import {
  type Attributes,
  type Context,
  type ContextManager,
  context,
  createContextKey,
  ROOT_CONTEXT,
  type Span,
  type SpanOptions,
  type SpanStatus,
  SpanStatusCode,
  type Tracer,
  trace,
} from '@opentelemetry/api'

/** A span as a test sees it. */
export type RecordedSpan = {
  name: string
  readonly parent: string | null
  readonly attributes: Attributes
  readonly events: { readonly name: string; readonly attributes: Attributes }[]
  status: SpanStatus
  ended: boolean
}

const COLLECTOR = createContextKey('weir.test.spans')
const ZERO_TRACE = '0'.repeat(31)

/**
 * Calls `fn` inside a span and collects it and every span that is made under it with the
 * OpenTelemetry API. Where telemetry is set up for real, the spans below the first go there.
 */
export async function recordSpans<Value>(
  name: string,
  fn: (span: Span) => Promise<Value>,
): Promise<{ readonly value: Value; readonly spans: readonly RecordedSpan[] }> {
  registerOnce()
  const spans: RecordedSpan[] = []
  const collecting = context.active().setValue(COLLECTOR, spans)
  const span = startSpan(name, {}, collecting)
  const value = await context.with(trace.setSpan(collecting, span), () => fn(span))
  span.end()
  return { value, spans }
}

let isRegistered = false

function registerOnce(): void {
  if (isRegistered) return
  isRegistered = true
  context.setGlobalContextManager(createContextManager())
  trace.setGlobalTracerProvider({ getTracer: () => tracer })
}

const tracer: Tracer = {
  startSpan: (name, options = {}, parent = context.active()) => startSpan(name, options, parent),
  startActiveSpan: (name: string, ...rest: unknown[]) => {
    const fn = rest.pop() as (span: Span) => unknown
    const [options = {}, parent = context.active()] = rest as [SpanOptions?, Context?]
    const span = startSpan(name, options, parent)
    return context.with(trace.setSpan(parent, span), () => fn(span)) as never
  },
}

let made = 0

function startSpan(name: string, options: SpanOptions, parent: Context): Span {
  const above = trace.getSpan(parent)?.spanContext().spanId ?? null
  const recorded: RecordedSpan = {
    name,
    parent: above === null ? null : (names.get(above) ?? null),
    attributes: { ...options.attributes },
    events: [],
    status: { code: SpanStatusCode.UNSET },
    ended: false,
  }
  const collector = parent.getValue(COLLECTOR) as RecordedSpan[] | undefined
  collector?.push(recorded)
  made += 1
  const spanId = made.toString(16).padStart(16, '0')
  names.set(spanId, name)
  return toSpan(recorded, spanId)
}

const names = new Map<string, string>()

function toSpan(recorded: RecordedSpan, spanId: string): Span {
  const span: Span = {
    spanContext: () => ({ traceId: `${ZERO_TRACE}1`, spanId, traceFlags: 1 }),
    setAttribute: (key, value) => span.setAttributes({ [key]: value }),
    setAttributes: (attributes) => {
      Object.assign(recorded.attributes, attributes)
      return span
    },
    addEvent: (name, attributes) => {
      recorded.events.push({ name, attributes: isAttributes(attributes) ? attributes : {} })
      return span
    },
    addLink: () => span,
    addLinks: () => span,
    setStatus: (status) => {
      recorded.status = status
      return span
    },
    updateName: (name) => {
      recorded.name = name
      return span
    },
    end: () => {
      recorded.ended = true
      names.delete(spanId)
    },
    isRecording: () => !recorded.ended,
    recordException: (exception) => {
      const message = typeof exception === 'string' ? exception : (exception.message ?? '')
      span.addEvent('exception', { 'exception.message': message })
    },
  }
  return span
}

const isAttributes = (value: unknown): value is Attributes =>
  typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof Date)

function createContextManager(): ContextManager {
  const storage = new AsyncLocalStorage<Context>()
  const manager: ContextManager = {
    active: () => storage.getStore() ?? ROOT_CONTEXT,
    with: (active, fn, thisArg, ...args) =>
      storage.run(active, () => Reflect.apply(fn, thisArg, args)),
    bind: (active, target) =>
      typeof target === 'function'
        ? (((...args: unknown[]) => storage.run(active, () => target(...args))) as typeof target)
        : target,
    enable: () => manager,
    disable: () => manager,
  }
  return manager
}
