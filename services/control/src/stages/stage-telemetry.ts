import { LANES, type LatencyRecord } from '@weir/contracts'
import { EMPTY_LATENCY, type Gate, mergeLatencies, quantileOf } from '@weir/core'
import { type Static, Type } from 'typebox'
import { nullable, oneOf, time } from '../http/schemas.ts'
import type { Instance } from './instances.ts'

const ms = nullable(Type.Number())
const latencySchema = Type.Object({ min: ms, mean: ms, p50: ms, p95: ms, p99: ms, max: ms })
const count = Type.Integer()

export const telemetrySchema = Type.Object({
  stage: Type.String(),
  instances: count,
  instancesWanted: nullable(
    Type.Integer({ description: 'By the load; where the registration has replicas' }),
  ),
  processed: Type.Integer({ description: 'Tasks that ended, however they did' }),
  completed: count,
  failed: count,
  skipped: count,
  cancelled: count,
  retried: count,
  dropped: count,
  duplicatesSuppressed: count,
  late: count,
  waitMs: latencySchema,
  workMs: latencySchema,
  throughput: Type.Number({ description: 'Attempts that ended, a second, lately' }),
  lastError: nullable(Type.Object({ code: Type.String(), at: time })),
  since: nullable(time),
  input: Type.Array(
    Type.Object({
      lane: oneOf(LANES),
      lag: nullable(count),
      lagMs: nullable(count),
      oldestAgeMs: nullable(count),
      drainRate: ms,
    }),
  ),
})

/** Figures of a stage over the instances that live, and its input as the watchdog measured it. */
export function sumTelemetry(
  stage: string,
  instances: readonly Instance[],
  gates: readonly Gate[],
): Static<typeof telemetrySchema> {
  const records = instances.map(({ record }) => record)
  const sum = (of: (one: (typeof records)[number]) => number | undefined) =>
    records.reduce((total, one) => total + (of(one) ?? 0), 0)
  const completed = sum(({ counters }) => counters.processed)
  const failed = sum(({ counters }) => counters.failed)
  const skipped = sum(({ counters }) => counters.skipped)
  const cancelled = sum(({ counters }) => counters.cancelled)
  const latencyOf = (name: 'wait' | 'work') =>
    toLatency(mergeLatencies(records.map(({ figures }) => figures?.[name] ?? EMPTY_LATENCY)))
  const lastError = records
    .flatMap(({ figures }) => figures?.lastError ?? [])
    .sort((a, b) => b.at - a.at)[0]
  const startedAt = Math.min(...records.map((one) => one.startedAt))
  return {
    stage,
    instances: records.length,
    instancesWanted:
      gates.find(({ record }) => record.stage === stage)?.record.instancesWanted ?? null,
    processed: completed + failed + skipped + cancelled,
    completed,
    failed,
    skipped,
    cancelled,
    retried: sum(({ counters }) => counters.retried),
    dropped: sum(({ counters }) => counters.dropped),
    duplicatesSuppressed: sum(({ counters }) => counters.duplicatesSuppressed),
    late: sum(({ counters }) => counters.late),
    waitMs: latencyOf('wait'),
    workMs: latencyOf('work'),
    throughput: Math.round(sum(({ figures }) => figures?.perSecond) * 100) / 100,
    lastError: lastError === undefined ? null : { ...lastError, at: toTime(lastError.at) },
    since: records.length === 0 ? null : toTime(startedAt),
    input: gates
      .filter(({ record }) => record.stage === stage)
      .map(({ record: { lane, lag, lagMs, oldestAgeMs, drainRate }, state }) =>
        state === 'unknown'
          ? { lane, lag: null, lagMs: null, oldestAgeMs: null, drainRate: null }
          : { lane, lag, lagMs, oldestAgeMs, drainRate },
      ),
  }
}

function toLatency(record: LatencyRecord) {
  const at = (share: number) => quantileOf(record, share) ?? null
  const isEmpty = record.count === 0
  return {
    min: isEmpty ? null : record.minMs,
    mean: isEmpty ? null : Math.round((record.sumMs / record.count) * 100) / 100,
    p50: at(0.5),
    p95: at(0.95),
    p99: at(0.99),
    max: isEmpty ? null : record.maxMs,
  }
}

const toTime = (atMs: number): string => new Date(atMs).toISOString()
