import { AsyncLocalStorage } from 'node:async_hooks'
import { randomUUID } from 'node:crypto'
import {
  type Context,
  type ContextManager,
  context,
  createNoopMeter,
  DiagLogLevel,
  diag,
  type MeterProvider,
  propagation,
  ROOT_CONTEXT,
  type TextMapPropagator,
  trace,
} from '@opentelemetry/api'
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-proto'
import { resourceFromAttributes } from '@opentelemetry/resources'
import {
  BatchSpanProcessor,
  ParentBasedSampler,
  TraceIdRatioBasedSampler,
  TracerProvider,
} from '@opentelemetry/sdk-trace'
import { formatTraceparent, parseTraceparent } from './spans.ts'

export type TelemetryOptions = {
  readonly otlpUrl: string
  readonly traceRatio: number
  readonly serviceName: string
  readonly instanceId?: string | undefined
}

export type TelemetryStats = {
  readonly exported: number
  readonly failed: number
  readonly dropped: number
  readonly queued: number
}

const VERSION = '0.1.0'
const COMPLAIN_EVERY_MS = 60_000

/**
 * The tracing part of the SDK, put together by hand. The ready-made distribution loads the exporters
 * of every signal and protocol: half a second and 50 MB in each process, for nothing we use.
 */
export function startTelemetry(options: TelemetryOptions): {
  shutdown(): Promise<void>
  stats(): TelemetryStats
} {
  const counts = countSpans()
  const provider = new TracerProvider({
    resource: resourceFromAttributes({
      'service.name': options.serviceName,
      'service.namespace': 'weir',
      'service.version': VERSION,
      'service.instance.id': options.instanceId ?? randomUUID(),
    }),
    sampler: new ParentBasedSampler({ root: new TraceIdRatioBasedSampler(options.traceRatio) }),
    // A join or a gather links to all its parts.
    spanLimits: { linkCountLimit: 1024 },
    spanProcessors: [
      // The defaults lose spans beyond 2,500 a second when the collector is 200 ms away.
      new BatchSpanProcessor({
        exporter: new OTLPTraceExporter({
          url: `${options.otlpUrl.replace(/\/+$/, '')}/v1/traces`,
          timeoutMillis: 10_000,
        }),
        maxQueueSize: 16_384,
        maxExportBatchSize: 2048,
        scheduledDelayMillis: 1000,
        exportTimeoutMillis: 10_000,
        selfObsMeterProvider: counts.meterProvider,
      }),
    ],
  })
  diag.setLogger(quietDiagnostics(), {
    logLevel: DiagLogLevel.WARN,
    suppressOverrideMessage: true,
  })
  context.setGlobalContextManager(new StorageContextManager())
  propagation.setGlobalPropagator(traceparentPropagator)
  trace.setGlobalTracerProvider(provider)
  return { shutdown: () => provider.shutdown(), stats: counts.stats }
}

/** The processor reports to a meter what it exported and dropped: this one only adds up. */
function countSpans(): { meterProvider: MeterProvider; stats: () => TelemetryStats } {
  let exported = 0
  let failed = 0
  let dropped = 0
  let readQueue: (() => number) | undefined
  const noop = createNoopMeter()
  const meter = Object.assign(Object.create(noop) as typeof noop, {
    createCounter: () => ({
      add(count: number, attributes: Record<string, unknown> = {}) {
        const error = attributes['error.type']
        if (error === undefined) exported += count
        else if (error === 'queue_full') dropped += count
        else failed += count
      },
    }),
    createObservableUpDownCounter: () => ({
      addCallback(observe: (result: { observe(value: number): void }) => void) {
        readQueue = () => {
          let size = 0
          observe({
            observe: (value) => {
              size = value
            },
          })
          return size
        }
      },
      removeCallback() {},
    }),
  })
  return {
    meterProvider: { getMeter: () => meter } as unknown as MeterProvider,
    stats: () => ({ exported, failed, dropped, queued: readQueue?.() ?? 0 }),
  }
}

/** A collector that is away makes the SDK complain on every export: once a minute is enough. */
function quietDiagnostics() {
  let lastAtMs = Number.NEGATIVE_INFINITY
  const complain = (message: string): void => {
    const now = performance.now()
    if (now - lastAtMs < COMPLAIN_EVERY_MS) return
    lastAtMs = now
    const line = { level: 'warn', time: new Date().toISOString(), msg: `telemetry: ${message}` }
    process.stderr.write(`${JSON.stringify(line).slice(0, 2000)}\n`)
  }
  return { error: complain, warn: complain, info() {}, debug() {}, verbose() {} }
}

class StorageContextManager implements ContextManager {
  readonly #storage = new AsyncLocalStorage<Context>()

  active(): Context {
    return this.#storage.getStore() ?? ROOT_CONTEXT
  }

  with<A extends unknown[], F extends (...args: A) => ReturnType<F>>(
    active: Context,
    fn: F,
    thisArg?: ThisParameterType<F>,
    ...args: A
  ): ReturnType<F> {
    const bound = thisArg === undefined ? fn : (fn.bind(thisArg) as F)
    return this.#storage.run(active, bound, ...args)
  }

  bind<T>(active: Context, target: T): T {
    if (typeof target !== 'function') return target
    const storage = this.#storage
    const fn = target as unknown as (...args: unknown[]) => unknown
    return function (this: unknown, ...args: unknown[]) {
      return storage.run(active, () => fn.apply(this, args))
    } as T
  }

  enable(): this {
    return this
  }

  disable(): this {
    this.#storage.disable()
    return this
  }
}

const traceparentPropagator: TextMapPropagator = {
  inject(active, carrier, setter) {
    const span = trace.getSpanContext(active)
    if (span !== undefined) setter.set(carrier, 'traceparent', formatTraceparent(span))
  },
  extract(active, carrier, getter) {
    const header = getter.get(carrier, 'traceparent')
    const span = parseTraceparent(Array.isArray(header) ? header[0] : header)
    return span === undefined ? active : trace.setSpanContext(active, span)
  },
  fields: () => ['traceparent'],
}
