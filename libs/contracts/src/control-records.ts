import type { Lane, StageState } from './states.ts'

/** `weir.control`, key `fence:<job>:<run>`: this run is over. Tombstoned after `notAfter`. */
export type FenceRecord = {
  readonly v: 1
  readonly job: string
  readonly run: number
  readonly reason: 'ended' | 'failed' | 'cancelled' | 'deadline' | 'superseded'
  readonly notAfter: number
}

export const fenceKey = (job: string, run: number): string => `fence:${job}:${run}`

/** `weir.control`, key `stage:<ref>`: what control wants of a stage. */
export type StageRecord = {
  readonly v: 1
  readonly ref: string
  readonly state: StageState
  readonly rowVersion: number
  readonly lanes: readonly Lane[]
  readonly inFlightMax: number
  /** How long records may wait before the stage; records of before it came have none. */
  readonly targetDelayMs?: number
  /** Least and most instances, where its registration says so. */
  readonly replicas?: { readonly min: number; readonly max: number }
  /** Verdict on each version's contracts, by `<version>/<contract hash>`; instances become ready on `true`. */
  readonly accepted: Readonly<Record<string, true | string>>
  /** Ids of the stage's keys that are valid. */
  readonly keyIds: readonly string[]
}

export const stageKey = (ref: string): string => `stage:${ref}`

/** `weir.registry`, key = instance id: hello, state and in-band figures of an instance. */
export type InstanceRecord = {
  readonly v: 1
  readonly instance: string
  readonly stage: string
  readonly version: string
  readonly kind: string
  readonly state: StageState
  readonly startedAt: number
  readonly at: number
  /** Next offset to read on `weir.control` when this was written: fences below it are obeyed. */
  readonly controlOffset: number
  readonly partitions: readonly (readonly [topic: string, partition: number])[]
  /** Tasks at once; instances of before it was told have none. */
  readonly concurrency?: number
  /** JSON Schemas as the stage declares them; present in the first record of an instance. */
  readonly contracts?: { readonly hash: string; readonly input: unknown; readonly output: unknown }
  /** Fenced runs of which a task still runs here. */
  readonly cleaning: readonly (readonly [job: string, run: number])[]
  readonly counters: StageCounters
  /** In-band figures; instances of before they came have none. */
  readonly figures?: StageFigures
}

/** Counts since the instance started. */
export type StageCounters = {
  readonly processed: number
  readonly failed: number
  readonly retried: number
  readonly dropped: number
  readonly duplicatesSuppressed: number
  readonly late: number
  /** Instances of before these were counted have none. */
  readonly skipped?: number
  readonly cancelled?: number
}

/** Durations as counts per bucket (`libs/core`, log histogram); counts are exact and add up. */
export type LatencyRecord = {
  readonly count: number
  readonly sumMs: number
  readonly minMs: number
  readonly maxMs: number
  /** In pairs: how many buckets further, and the count there. */
  readonly buckets: readonly number[]
}

/** What an instance has measured of its tasks since it started. */
export type StageFigures = {
  readonly wait: LatencyRecord
  readonly work: LatencyRecord
  /** Attempts that ended, a second, lately. */
  readonly perSecond: number
  /** The last failure, without its message: that may hold what is a tenant's. */
  readonly lastError?: { readonly code: string; readonly at: number }
}

/** `weir.registry`, key `dispatcher`: what the dispatcher that holds the lease counts. */
export type DispatcherRecord = {
  readonly v: 1
  /** Rises with each change of the lease: a record of an older one counts for nothing. */
  readonly fencing: number
  /** Slots held per stage; absent is 0. */
  readonly held: Readonly<Record<string, number>>
  /** Of all tenants together. */
  readonly queue: { readonly queued: number; readonly oldestAgeMs: number }
}

export const DISPATCHER_KEY = 'dispatcher'

/** `weir.gates`, key `<ref>/<lane>`: flow state of a stage's input. */
export type GateRecord = {
  readonly v: 1
  readonly stage: string
  readonly lane: Lane
  readonly state: 'open' | 'throttled' | 'closed'
  readonly inFlightLimit: number
  /** What is still let in where nothing is known of the load; gates of before it came have none. */
  readonly floor?: number
  /** How many instances the stage is to have, where its registration has a least and a most. */
  readonly instancesWanted?: number
  /** Records not finished: waiting, or worked on. */
  readonly lag: number
  /** How long they take at the drain rate. */
  readonly lagMs: number
  /** Age of the oldest record that is not finished. */
  readonly oldestAgeMs: number
  /** Records a second, while there is something to do. */
  readonly drainRate: number
  /** Why it is as it is; empty where there is nothing to say. */
  readonly reason: string
  /** When it came into this state, epoch milliseconds. */
  readonly since: number
  /** Offset of the leader's claim on `weir.watchdog`: what an older leader writes is ignored. */
  readonly leader: number
  /** Rises with each publication of this gate. */
  readonly seq: number
}

export const gateKey = (stage: string, lane: Lane): string => `${stage}/${lane}`

/** `weir.gates`, key `beat`: what the leader has published of all gates still holds. */
export type GateBeat = { readonly v: 1; readonly beat: true; readonly leader: number }

export const GATE_BEAT_KEY = 'beat'

/** `weir.watchdog`, key `leader`: an instance leads from here on. */
export type LeaderClaim = { readonly v: 1; readonly instance: string; readonly generation: number }
