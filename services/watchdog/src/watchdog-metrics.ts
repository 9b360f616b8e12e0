import { type GateRecord, gateKey, LANES } from '@weir/contracts'
import { LONG_SECONDS, type Metrics } from '@weir/runtime'

const STAGES_MAX = 1_000

export type WatchdogMetrics = {
  /** Shows these gates and no others: an instance that stands by shows none. */
  show(gates: readonly GateRecord[]): void
  /** A gate that was published has another state than before. */
  changed(gate: Pick<GateRecord, 'stage' | 'lane' | 'state'>): void
  measured(ms: number): void
  failed(): void
}

export function createWatchdogMetrics(
  metrics: Metrics,
  isLeading: () => boolean,
  measuredAgeMs: () => number,
): WatchdogMetrics {
  const labels = { stage: { max: STAGES_MAX }, lane: LANES }
  const gauges = {
    lag: metrics.gauge('weir_stage_lag_records', 'Records before a stage, not finished', labels),
    lagMs: metrics.gauge('weir_stage_lag_seconds', 'Their time at the rate of the stage', labels),
    oldestAgeMs: metrics.gauge(
      'weir_stage_oldest_age_seconds',
      'Age of the oldest record that is not finished',
      labels,
    ),
    drainRate: metrics.gauge(
      'weir_stage_drain_rate',
      'Records a second, while there is something to do',
      labels,
    ),
    inFlightLimit: metrics.gauge(
      'weir_stage_in_flight_limit',
      'Messages that may be in flight at a stage; 0 while its gate is closed',
      labels,
    ),
    isOpen: metrics.gauge(
      'weir_stage_gate_open',
      '1 while the gate of a stage lets in as much as its operator does',
      labels,
    ),
  }
  const wanted = metrics.gauge(
    'weir_stage_instances_wanted',
    'Instances that a stage is to have, between the least and the most of its registration',
    { stage: { max: STAGES_MAX } },
  )
  const changes = metrics.counter(
    'weir_stage_gate_changes_total',
    'Changes of a gate, by the state that it came into',
    { ...labels, state: ['open', 'throttled', 'closed'] },
  )
  const seconds = metrics.histogram(
    'weir_watchdog_measure_seconds',
    'Time to measure all stages',
    {},
    LONG_SECONDS,
  )
  const failures = metrics.counter(
    'weir_watchdog_failures_total',
    'Measurements that could not be made or published',
  )
  metrics.gaugeOf('weir_watchdog_leading', '1 while this instance measures', () =>
    isLeading() ? 1 : 0,
  )
  metrics.gaugeOf(
    'weir_watchdog_measured_age_seconds',
    'Time since the last measurement; 0 while this instance stands by',
    () => (isLeading() ? measuredAgeMs() / 1_000 : 0),
  )
  const shown = new Map<string, Pick<GateRecord, 'stage' | 'lane'>>()

  return {
    show(gates) {
      const gone = new Map(shown)
      for (const gate of gates) {
        const { stage, lane } = gate
        const at = { stage, lane }
        const key = gateKey(stage, lane)
        gone.delete(key)
        shown.set(key, at)
        gauges.lag.set(at, gate.lag)
        gauges.lagMs.set(at, gate.lagMs / 1_000)
        gauges.oldestAgeMs.set(at, gate.oldestAgeMs / 1_000)
        gauges.drainRate.set(at, gate.drainRate)
        gauges.inFlightLimit.set(at, gate.inFlightLimit)
        gauges.isOpen.set(at, gate.state === 'open' ? 1 : 0)
        if (gate.instancesWanted === undefined) wanted.remove({ stage })
        else wanted.set({ stage }, gate.instancesWanted)
      }
      for (const [key, at] of gone) {
        shown.delete(key)
        for (const gauge of Object.values(gauges)) gauge.remove(at)
        wanted.remove({ stage: at.stage })
      }
    },
    changed: ({ stage, lane, state }) => changes.inc({ stage, lane, state }),
    measured: (ms) => seconds.observe({}, ms / 1_000),
    failed: () => failures.inc({}),
  }
}
