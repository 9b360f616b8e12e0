import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client'
import { droppedLogLines } from './logger.ts'
import { telemetryStats } from './telemetry.ts'

/**
 * The values a label may take: a closed list, or at most `max` different ones, first come. All
 * others become `other`, so that no label grows with jobs, keys or messages.
 */
export type LabelValues = readonly string[] | { readonly max: number }

export type Labels<L extends string> = Readonly<Record<L, string>>
export type LabelSpecs<L extends string> = Readonly<Record<L, LabelValues>>

export type CounterMetric<L extends string> = {
  inc(labels: Labels<L>, by?: number): void
}
export type GaugeMetric<L extends string> = {
  set(labels: Labels<L>, value: number): void
  remove(labels: Labels<L>): void
}
export type HistogramMetric<L extends string> = {
  observe(labels: Labels<L>, value: number): void
}

export type Metrics = {
  counter<L extends string>(name: string, help: string, labels?: LabelSpecs<L>): CounterMetric<L>
  gauge<L extends string>(name: string, help: string, labels?: LabelSpecs<L>): GaugeMetric<L>
  /** A counter that is read when it is scraped: what is read together is of one moment. */
  counterOf(name: string, help: string, read: () => number): void
  /** A gauge that is read when it is scraped. */
  gaugeOf(name: string, help: string, read: () => number): void
  /** The same with one label, whose values are those that `read` gives: they must be a closed set. */
  gaugesOf(
    name: string,
    help: string,
    label: string,
    read: () => Readonly<Record<string, number>>,
  ): void
  /** What of a signal is lost, by reason: told of with what is lost of logs and traces. */
  lossesOf(signal: string, read: () => Readonly<Record<string, number>>): void
  /** `buckets` in the metric's own unit; default: seconds from 5 ms to 10 s. */
  histogram<L extends string>(
    name: string,
    help: string,
    labels?: LabelSpecs<L>,
    buckets?: readonly number[],
  ): HistogramMetric<L>
  readonly contentType: string
  render(): Promise<string>
}

/** The messaging conventions' boundaries, in seconds. */
const SECONDS = [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10] as const
/** For what may wait: queues and whole jobs. */
export const LONG_SECONDS = [...SECONDS, 30, 60, 300, 900, 3600] as const

const OTHER = 'other'

/** The metrics of one process, with Node's own and those of logs and traces. */
export function createMetrics(options: { readonly service: string }): Metrics {
  const register = new Registry()
  register.setDefaultLabels({ service: options.service })
  // 10 ms, the default, would wake an idle process a hundred times a second; at 50 ms it was still
  // woken more often by this than by all that it has to do.
  collectDefaultMetrics({ register, eventLoopMonitoringPrecision: 500 })
  const losses = new Map<string, () => Readonly<Record<string, number>>>()
  registerTelemetryMetrics(register, losses)

  const bounded = <L extends string>(specs: LabelSpecs<L> = {} as LabelSpecs<L>) => {
    const names = Object.keys(specs) as L[]
    const seen = new Map<L, Set<string>>(names.map((name) => [name, new Set<string>()]))
    const bind = (labels: Labels<L>): Labels<L> => {
      let result: Record<L, string> | undefined
      for (const name of names) {
        const value = labels[name]
        if (isAllowed(specs[name], seen.get(name) as Set<string>, value)) continue
        result ??= { ...labels }
        result[name] = OTHER
      }
      return result ?? labels
    }
    return { names, bind }
  }

  return {
    contentType: register.contentType,
    render: () => register.metrics(),

    counter(name, help, labels) {
      const { names, bind } = bounded(labels)
      const counter = new Counter({ name, help, labelNames: names, registers: [register] })
      return { inc: (given, by = 1) => counter.inc(bind(given), by) }
    },

    counterOf(name, help, read) {
      new Counter({
        name,
        help,
        registers: [register],
        collect() {
          this.reset()
          this.inc(read())
        },
      })
    },

    gauge(name, help, labels) {
      const { names, bind } = bounded(labels)
      const gauge = new Gauge({ name, help, labelNames: names, registers: [register] })
      return {
        set: (given, value) => gauge.set(bind(given), value),
        remove: (given) => gauge.remove(bind(given)),
      }
    },

    gaugeOf(name, help, read) {
      new Gauge({
        name,
        help,
        registers: [register],
        collect() {
          this.set(read())
        },
      })
    },

    gaugesOf(name, help, label, read) {
      new Gauge({
        name,
        help,
        labelNames: [label],
        registers: [register],
        collect() {
          this.reset()
          for (const [of, value] of Object.entries(read())) this.set({ [label]: of }, value)
        },
      })
    },

    lossesOf(signal, read) {
      losses.set(signal, read)
    },

    histogram(name, help, labels, buckets = SECONDS) {
      const { names, bind } = bounded(labels)
      const histogram = new Histogram({
        name,
        help,
        labelNames: names,
        buckets: [...buckets],
        registers: [register],
      })
      return { observe: (given, value) => histogram.observe(bind(given), value) }
    },
  }
}

function isAllowed(values: LabelValues, seen: Set<string>, value: string): boolean {
  if (seen.has(value)) return true
  if ('max' in values ? seen.size >= values.max : !values.includes(value)) return false
  seen.add(value)
  return true
}

/** What was lost of logs and traces must show somewhere that cannot be lost with them. */
function registerTelemetryMetrics(
  register: Registry,
  losses: ReadonlyMap<string, () => Readonly<Record<string, number>>>,
): void {
  new Counter({
    name: 'weir_telemetry_dropped_total',
    help: 'Log lines, spans and events that a full buffer dropped or nobody took',
    labelNames: ['signal', 'reason'],
    registers: [register],
    collect() {
      const spans = telemetryStats()
      this.reset()
      this.inc({ signal: 'logs', reason: 'buffer_full' }, droppedLogLines())
      this.inc({ signal: 'traces', reason: 'queue_full' }, spans.dropped)
      this.inc({ signal: 'traces', reason: 'export_failed' }, spans.failed)
      for (const [signal, read] of losses) {
        for (const [reason, count] of Object.entries(read())) this.inc({ signal, reason }, count)
      }
    },
  })
  new Gauge({
    name: 'weir_telemetry_queued_spans',
    help: 'Spans that wait for their export',
    registers: [register],
    collect() {
      const { queued, exporting } = telemetryStats()
      this.set(queued + exporting)
    },
  })
}
