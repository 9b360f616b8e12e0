import { GATE_BEAT_KEY, type GateBeat, type GateRecord } from '@weir/contracts'
import { type BelievedState, believeGate, GATE_AGE_AT_START_MS } from '@weir/core'

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
  take(key: string, value: Buffer | null, isNew: boolean): GateRecord | GateBeat | null | undefined
  /** By stage and lane. */
  all(): readonly Gate[]
}

export function createGates(now: () => number = () => performance.now()): Gates {
  const records = new Map<string, GateRecord>()
  /** When each leader was heard last; a gate that the newest has not written is as old as its own. */
  const heardAt = new Map<number, number>()
  let newest = -1

  const hear = (leader: number, isNew: boolean): boolean => {
    if (leader < newest) return false
    newest = leader
    heardAt.set(leader, now() - (isNew ? 0 : GATE_AGE_AT_START_MS))
    if (heardAt.size > 2) heardAt.delete(heardAt.keys().next().value as number)
    return true
  }

  return {
    take(key, value, isNew) {
      const record = parseRecord(value)
      if (record === undefined) {
        if (value !== null) return undefined
        records.delete(key)
        return null
      }
      if (!hear(record.leader, isNew)) return undefined
      if (key !== GATE_BEAT_KEY) records.set(key, record as GateRecord)
      return record
    },
    all() {
      const at = now()
      return [...records.values()]
        .sort((a, b) => a.stage.localeCompare(b.stage) || a.lane.localeCompare(b.lane))
        .map((record) => {
          const ageMs = at - (heardAt.get(record.leader) ?? Number.NEGATIVE_INFINITY)
          return { record, ageMs, state: believeGate(record.state, ageMs) }
        })
    },
  }
}

function parseRecord(value: Buffer | null): GateRecord | GateBeat | undefined {
  if (value === null) return undefined
  try {
    const record = JSON.parse(value.toString()) as GateRecord | GateBeat | null
    const isOurs = record !== null && record.v === 1 && Number.isSafeInteger(record.leader)
    return isOurs ? record : undefined
  } catch {
    return undefined
  }
}
