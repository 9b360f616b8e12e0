import { type LogHistogram, quantileOf } from '@weir/core'
import { LONG_SECONDS, type Metrics } from '@weir/runtime'
import type { EngineCounters } from './counters.ts'
import type { SinkFigures } from './event-sink.ts'
import type { Figures } from './stage-figures.ts'

/** What the gauges read when they are scraped. */
export type EngineGauges = {
  readonly running: () => number
  readonly waiting: () => number
  readonly queued: () => number
  readonly unfinished: () => number
  readonly openJoins: () => number
  readonly producerBytes: () => number
  readonly events: () => SinkFigures
}

export type EngineMetrics = {
  observe(waitMs: number, workMs: number): void
  /** Moves what was counted since the last call into the metrics. */
  flush(): void
}

const COUNTERS: Readonly<Record<keyof EngineCounters, readonly [name: string, help: string]>> = {
  processed: ['weir_stage_tasks_completed_total', 'Tasks that ended with an output'],
  skipped: ['weir_stage_tasks_skipped_total', 'Tasks whose handler skipped'],
  failed: ['weir_stage_tasks_failed_total', 'Tasks that failed for good'],
  cancelled: ['weir_stage_tasks_cancelled_total', 'Tasks whose handler cancelled the run'],
  retried: ['weir_stage_tasks_retried_total', 'Attempts that are followed by another one'],
  dropped: ['weir_stage_messages_dropped_total', 'Messages of runs that were over'],
  duplicatesSuppressed: ['weir_stage_duplicates_total', 'Messages recognised as duplicates'],
  late: ['weir_stage_late_parts_total', 'Parts that came after their join had fired'],
  zombies: ['weir_stage_zombie_records_total', 'Own records of an older owner'],
  absorbed: ['weir_stage_fenced_messages_total', 'Messages of fenced runs'],
  expired: ['weir_stage_expired_messages_total', 'Messages past their not-after'],
  deadLetters: ['weir_stage_dead_letters_total', 'Failed tasks kept as dead letters'],
  refused: [
    'weir_stage_refused_records_total',
    'Records put aside: not genuine, or fitting no plan',
  ],
  detached: ['weir_stage_detached_handlers_total', 'Handlers that did not return when aborted'],
  restored: ['weir_stage_partitions_restored_total', 'Partitions restored from their commit'],
  commits: ['weir_stage_commits_total', 'Commits that the group has taken'],
}

/** Registers the metrics of a stage instance; counts are moved in bulk, tasks only add numbers. */
export function createEngineMetrics(
  metrics: Metrics,
  counters: EngineCounters,
  figures: Pick<Figures, 'wait' | 'work'>,
  gauges: EngineGauges,
): EngineMetrics {
  const wait = metrics.histogram(
    'weir_stage_wait_seconds',
    'From the arrival of a task to its start',
    {},
    LONG_SECONDS,
  )
  const work = metrics.histogram('weir_stage_work_seconds', 'Time in the handler', {}, LONG_SECONDS)
  metrics.gaugesOf(
    'weir_stage_wait_quantile_seconds',
    'Wait that a share of the tasks was not above, within 2 %',
    'quantile',
    () => quantilesOf(figures.wait),
  )
  metrics.gaugesOf(
    'weir_stage_work_quantile_seconds',
    'Work that a share of the tasks was not above, within 2 %',
    'quantile',
    () => quantilesOf(figures.work),
  )
  const moved: Record<string, number> = {}
  const totals = Object.entries(COUNTERS).map(([name, [metric, help]]) => ({
    name: name as keyof EngineCounters,
    counter: metrics.counter(metric, help),
  }))
  metrics.gaugeOf('weir_stage_tasks_running', 'Handlers that run', gauges.running)
  metrics.gaugeOf('weir_stage_tasks_waiting', 'Tasks that could start', gauges.waiting)
  metrics.gaugeOf('weir_stage_queued_records', 'Records read and not folded', gauges.queued)
  metrics.gaugeOf(
    'weir_stage_unfinished_records',
    'Records folded and not finished',
    gauges.unfinished,
  )
  metrics.gaugeOf('weir_stage_open_joins', 'Joins that wait for parts', gauges.openJoins)
  metrics.gaugeOf('weir_stage_producer_bytes', 'Bytes waiting for Kafka', gauges.producerBytes)
  metrics.gaugeOf('weir_stage_events_queued', 'Events of handlers that wait', () => {
    const { queued, waiting, underWay } = gauges.events()
    return queued + waiting + underWay
  })
  metrics.lossesOf('events', () => gauges.events().lost)
  metrics.counterOf(
    'weir_stage_events_offered_total',
    'Events that handlers told',
    () => gauges.events().offered,
  )
  metrics.counterOf(
    'weir_stage_events_delivered_total',
    'Events of handlers that Kafka has taken',
    () => gauges.events().delivered,
  )

  return {
    observe(waitMs, workMs) {
      wait.observe({}, waitMs / 1_000)
      work.observe({}, workMs / 1_000)
    },
    flush() {
      for (const { name, counter } of totals) {
        const more = counters[name] - (moved[name] ?? 0)
        if (more > 0) counter.inc({}, more)
        moved[name] = counters[name]
      }
    },
  }
}

function quantilesOf(histogram: LogHistogram): Record<string, number> {
  const record = histogram.toRecord()
  const shares = [0.5, 0.95, 0.99, 1].flatMap((share): [string, number][] => {
    const ms = quantileOf(record, share)
    return ms === undefined ? [] : [[String(share), ms / 1_000]]
  })
  return Object.fromEntries(shares)
}
