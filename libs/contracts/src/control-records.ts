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
  /** JSON Schemas as the stage declares them; present in the first record of an instance. */
  readonly contracts?: { readonly hash: string; readonly input: unknown; readonly output: unknown }
  /** Fenced runs of which a task still runs here. */
  readonly cleaning: readonly (readonly [job: string, run: number])[]
  readonly counters: StageCounters
}

/** Counts since the instance started. */
export type StageCounters = {
  readonly processed: number
  readonly failed: number
  readonly retried: number
  readonly dropped: number
  readonly duplicatesSuppressed: number
  readonly late: number
}

/** `weir.gates`, key `<ref>/<lane>`: flow state of a stage's input. */
export type GateRecord = {
  readonly v: 1
  readonly stage: string
  readonly lane: Lane
  readonly state: 'open' | 'throttled' | 'closed'
  readonly inFlightLimit: number
  readonly lag: number
  readonly lagMs: number
  readonly oldestAgeMs: number
  readonly drainRate: number
  readonly reason: string
  readonly leader: number
  readonly seq: number
}
