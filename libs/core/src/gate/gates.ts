import { GATE_BEAT_KEY, type GateBeat, type GateRecord } from '@weir/contracts'
import {
  type BelievedState,
  believeGate,
  believeLimit,
  GATE_AGE_AT_START_MS,
} from './believe-gate.ts'

export type Gate = {
  readonly record: GateRecord
  /** Since the leader that wrote it was heard last, by arrival. */
  readonly ageMs: number
  readonly state: BelievedState
}

/** The gates as `weir.gates` tells of them. What an older leader still writes is ignored. */
export type Gates = {
  /**
   * `isNew`: it came just now, and was not in the log before this process. Gives what it was, where
   * it counts: a gate, a beat, or null of one that was taken down.
   */
  take(
    key: string,
    value: Buffer | string | null,
    isNew: boolean,
  ): GateRecord | GateBeat | null | undefined
  /** By stage and lane. */
  all(): readonly Gate[]
  /** What may be in flight at a stage, as far as its gates are to be believed; undefined without any. */
  limitOf(stage: string): number | undefined
  /** What a stage can do in a second, as it was published last; 0 where that is not known. */
  rateOf(stage: string): number
}

/** `now`: milliseconds of a clock that never goes back. */
export function createGates(now: () => number): Gates {
  const records = new Map<string, GateRecord>()
  /** When each leader was heard last; a gate that the newest has not written is as old as its own. */
  const heardAt = new Map<number, number>()
  const byStage = new Map<string, Map<string, GateRecord>>()
  let newest = -1

  const hear = (leader: number, isNew: boolean): boolean => {
    if (leader < newest) return false
    newest = leader
    heardAt.set(leader, now() - (isNew ? 0 : GATE_AGE_AT_START_MS))
    if (heardAt.size > 2) heardAt.delete(heardAt.keys().next().value as number)
    return true
  }

  const keep = (key: string, record: GateRecord) => {
    records.set(key, record)
    byStage.set(record.stage, (byStage.get(record.stage) ?? new Map()).set(key, record))
  }

  const forget = (key: string) => {
    const stage = records.get(key)?.stage
    records.delete(key)
    if (stage === undefined) return
    const own = byStage.get(stage)
    own?.delete(key)
    if (own?.size === 0) byStage.delete(stage)
  }

  const ageOf = ({ leader }: GateRecord, atMs: number) =>
    atMs - (heardAt.get(leader) ?? Number.NEGATIVE_INFINITY)

  return {
    take(key, value, isNew) {
      const record = parseRecord(value)
      if (record === undefined) {
        if (value !== null) return undefined
        forget(key)
        return null
      }
      if (!hear(record.leader, isNew)) return undefined
      if (key !== GATE_BEAT_KEY) keep(key, record as GateRecord)
      return record
    },
    limitOf(stage) {
      const own = byStage.get(stage)
      if (own === undefined) return undefined
      let least = Number.POSITIVE_INFINITY
      for (const record of own.values()) {
        least = Math.min(least, believeLimit(record, ageOf(record, now())))
      }
      return least
    },
    rateOf(stage) {
      const own = byStage.get(stage)?.values() ?? []
      return Math.max(0, ...[...own].map(({ drainRate }) => drainRate))
    },
    all() {
      const at = now()
      return [...records.values()]
        .sort((a, b) => a.stage.localeCompare(b.stage) || a.lane.localeCompare(b.lane))
        .map((record) => {
          const ageMs = ageOf(record, at)
          return { record, ageMs, state: believeGate(record.state, ageMs) }
        })
    },
  }
}

function parseRecord(value: Buffer | string | null): GateRecord | GateBeat | undefined {
  if (value === null) return undefined
  try {
    const record = JSON.parse(value.toString()) as GateRecord | GateBeat | null
    const isOurs = record !== null && record.v === 1 && Number.isSafeInteger(record.leader)
    return isOurs ? record : undefined
  } catch {
    return undefined
  }
}
