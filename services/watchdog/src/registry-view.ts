import { DISPATCHER_KEY, type DispatcherRecord, type InstanceRecord } from '@weir/contracts'
import type { KafkaRecord } from '@weir/kafka'

/** What is known of those who work on a stage's input, and of those who fill it. */
export type StageCrew = {
  readonly instances: number
  /** Tasks that all of them run at once. */
  readonly concurrency: number
  /**
   * When partitions began to move between them last, by the clock given; −∞ where they never did. What
   * moves again soon after counts as the same move: an instance that starts over and over hides nothing.
   */
  readonly movedAtMs: number
  /** Slots that the dispatcher counts at the stage; undefined where no dispatcher was heard of lately. */
  readonly held: number | undefined
}

/** Who is there, as `weir.registry` tells; by arrival and not by anybody's clock. */
export type RegistryView = {
  /** `isNew`: they came just now, and were not in the log before this process. */
  read(records: readonly KafkaRecord[], isNew: boolean, nowMs: number): void
  crewOf(stage: string, nowMs: number): StageCrew
}

/** Instances and dispatcher beat every 5 s. */
const LIVE_MS = 15_000
const MOVE_MS = 15_000
/** The one that was heard of first is forgotten beyond these. */
const INSTANCES_MAX = 10_000

type Seen = {
  readonly stage: string
  readonly concurrency: number
  readonly partitions: string
  readonly atMs: number
}

export function createRegistryView(): RegistryView {
  const seen = new Map<string, Seen>()
  const movedAtMs = new Map<string, number>()
  let dispatcher: { readonly record: DispatcherRecord; readonly atMs: number } | undefined

  const moved = (stage: string, isNew: boolean, nowMs: number) => {
    const before = movedAtMs.get(stage) ?? Number.NEGATIVE_INFINITY
    if (isNew && nowMs - before >= MOVE_MS) movedAtMs.set(stage, nowMs)
  }

  const readInstance = (key: string, record: InstanceRecord, isNew: boolean, nowMs: number) => {
    const { stage, concurrency = 1 } = record
    const partitions = JSON.stringify(record.partitions)
    if (seen.get(key)?.partitions !== partitions) moved(stage, isNew, nowMs)
    seen.delete(key)
    seen.set(key, { stage, concurrency, partitions, atMs: nowMs })
    if (seen.size > INSTANCES_MAX) seen.delete(seen.keys().next().value as string)
  }

  return {
    read(records, isNew, nowMs) {
      for (const { key, value } of records) {
        const name = key?.toString() ?? ''
        if (value === null) {
          const gone = seen.get(name)
          if (gone !== undefined) moved(gone.stage, isNew, nowMs)
          seen.delete(name)
          continue
        }
        const record = parse(value)
        if (record === undefined) continue
        if (name !== DISPATCHER_KEY) readInstance(name, record as InstanceRecord, isNew, nowMs)
        else if ((record as DispatcherRecord).fencing >= (dispatcher?.record.fencing ?? 0)) {
          dispatcher = { record: record as DispatcherRecord, atMs: nowMs }
        }
      }
    },
    crewOf(stage, nowMs) {
      let instances = 0
      let concurrency = 0
      for (const one of seen.values()) {
        if (one.stage !== stage || nowMs - one.atMs > LIVE_MS) continue
        instances += 1
        concurrency += one.concurrency
      }
      const isHeard = dispatcher !== undefined && nowMs - dispatcher.atMs <= LIVE_MS
      return {
        instances,
        concurrency,
        movedAtMs: movedAtMs.get(stage) ?? Number.NEGATIVE_INFINITY,
        held: isHeard ? (dispatcher?.record.held[stage] ?? 0) : undefined,
      }
    },
  }
}

function parse(value: Buffer): InstanceRecord | DispatcherRecord | undefined {
  try {
    const record = JSON.parse(value.toString()) as InstanceRecord | DispatcherRecord | null
    return record !== null && record.v === 1 ? record : undefined
  } catch {
    return undefined
  }
}
