import { randomUUID } from 'node:crypto'
import { createNoopMeter, DiagLogLevel, diag, type MeterProvider } from '@opentelemetry/api'
import { W3CTraceContextPropagator } from '@opentelemetry/core'
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-proto'
import { resourceFromAttributes } from '@opentelemetry/resources'
import { NodeSDK } from '@opentelemetry/sdk-node'
import {
  BatchSpanProcessor,
  ParentBasedSampler,
  type SpanExporter,
  TraceIdRatioBasedSampler,
} from '@opentelemetry/sdk-trace'
import { createLossTally, type Loss } from './loss-tally.ts'

export type TelemetryOptions = {
  readonly otlpUrl: string
  readonly traceRatio: number
  readonly serviceName: string
  readonly instanceId?: string | undefined
  /** Told of what was lost, once the collector takes spans again, and at the end. */
  readonly onLoss?: (loss: Loss) => void
}

/** Every span that was ended and is sampled is in one of these. */
export type TelemetryStats = {
  readonly exported: number
  /** Refused by the collector, or not taken by it in time. */
  readonly failed: number
  /** The queue was full. */
  readonly dropped: number
  readonly queued: number
  /** On their way to the collector. */
  readonly exporting: number
}

const VERSION = '0.1.0'
const COMPLAIN_EVERY_MS = 60_000
const QUEUE_FULL = 'queue_full'

/**
 * Sets up tracing alone. Loading the SDK costs half a second and some 50 MB, so a process does it
 * only when it has somewhere to export to.
 */
export function startTelemetry(options: TelemetryOptions): {
  shutdown(): Promise<void>
  stats(): TelemetryStats
} {
  const { onLoss = () => {} } = options
  const counts = countSpans(onLoss)
  const sdk = new NodeSDK({
    autoDetectResources: false,
    resource: resourceFromAttributes({
      'service.name': options.serviceName,
      'service.namespace': 'weir',
      'service.version': VERSION,
      'service.instance.id': options.instanceId ?? randomUUID(),
    }),
    sampler: new ParentBasedSampler({ root: new TraceIdRatioBasedSampler(options.traceRatio) }),
    textMapPropagator: new W3CTraceContextPropagator(),
    // A join or a gather links to all its parts.
    spanLimits: { linkCountLimit: 1024 },
    spanProcessors: [
      // The defaults lose spans beyond 2,500 a second when the collector is 200 ms away.
      new BatchSpanProcessor({
        exporter: counts.watch(
          new OTLPTraceExporter({
            url: `${options.otlpUrl.replace(/\/+$/, '')}/v1/traces`,
            timeoutMillis: 10_000,
          }),
        ),
        maxQueueSize: 16_384,
        maxExportBatchSize: 2048,
        scheduledDelayMillis: 1000,
        exportTimeoutMillis: 10_000,
        selfObsMeterProvider: counts.meterProvider,
      }),
    ],
    // Metrics are Prometheus' and logs are pino's: nothing else is exported.
    metricReaders: [],
    logRecordProcessors: [],
    instrumentations: [],
  })
  diag.setLogger(quietDiagnostics(), {
    logLevel: DiagLogLevel.WARN,
    suppressOverrideMessage: true,
  })
  sdk.start()
  return {
    shutdown: async () => {
      await sdk.shutdown().finally(counts.tellLast)
    },
    stats: counts.stats,
  }
}

/** The processor reports to a meter what it exported and dropped: this one only adds up. */
function countSpans(onLoss: (loss: Loss) => void): {
  meterProvider: MeterProvider
  stats: () => TelemetryStats
  /** The same exporter; what it has taken and not yet answered is counted. */
  watch: (exporter: SpanExporter) => SpanExporter
  tellLast: () => void
} {
  const losses = createLossTally()
  let exported = 0
  let failed = 0
  let dropped = 0
  let exporting = 0
  let readQueue: (() => number) | undefined
  const tell = (isLast = false): void => {
    const loss = losses.take(isLast)
    if (loss !== undefined) onLoss(loss)
  }
  const noop = createNoopMeter()
  const meter = Object.assign(Object.create(noop) as typeof noop, {
    createCounter: () => ({
      add(count: number, attributes: Record<string, unknown> = {}) {
        const error = attributes['error.type']
        if (error === undefined) {
          exported += count
          tell()
          return
        }
        if (error === QUEUE_FULL) dropped += count
        else failed += count
        losses.note(error === QUEUE_FULL ? QUEUE_FULL : 'export_failed', count)
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
    stats: () => ({ exported, failed, dropped, queued: readQueue?.() ?? 0, exporting }),
    watch: (exporter) => ({
      export(spans, done) {
        exporting += spans.length
        exporter.export(spans, (result) => {
          exporting -= spans.length
          done(result)
        })
      },
      shutdown: () => exporter.shutdown(),
      forceFlush: () => exporter.forceFlush?.() ?? Promise.resolve(),
    }),
    tellLast: () => tell(true),
  }
}

/** A collector that is away makes the SDK complain on every export: once a minute is enough. */
function quietDiagnostics() {
  let lastAtMs = Number.NEGATIVE_INFINITY
  const complain = (message: string): void => {
    // Told of by `onLoss`, with all that was lost.
    if (/^Dropped \d+ spans/.test(message)) return
    const now = performance.now()
    if (now - lastAtMs < COMPLAIN_EVERY_MS) return
    lastAtMs = now
    const line = { level: 'warn', time: new Date().toISOString(), msg: `telemetry: ${message}` }
    process.stderr.write(`${JSON.stringify(line).slice(0, 2000)}\n`)
  }
  return { error: complain, warn: complain, info() {}, debug() {}, verbose() {} }
}
