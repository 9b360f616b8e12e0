import type { StageCounters } from '@weir/contracts'

/** Counts since the start of the instance, in plain numbers: metrics and the registry read them. */
export type EngineCounters = { -readonly [Name in keyof StageCounters]-?: number } & {
  zombies: number
  absorbed: number
  expired: number
  deadLetters: number
  refused: number
  detached: number
  restored: number
  commits: number
}

export function createCounters(): EngineCounters {
  return {
    processed: 0,
    failed: 0,
    retried: 0,
    dropped: 0,
    duplicatesSuppressed: 0,
    late: 0,
    skipped: 0,
    cancelled: 0,
    zombies: 0,
    absorbed: 0,
    expired: 0,
    deadLetters: 0,
    refused: 0,
    detached: 0,
    restored: 0,
    commits: 0,
  }
}
