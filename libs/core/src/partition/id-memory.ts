/** The task or join with this id is decided: no attempt of it runs again. */
export const DONE = Number.POSITIVE_INFINITY

/**
 * Memory of duplicates: each id with its highest finished attempt, or `DONE`. Two generations of at
 * least the horizon each: an id is forgotten between one and two horizons after it was last noted,
 * at constant cost. Time is that of the log, not of a clock: a duplicate that came shortly after
 * its original stays one, however long a busy partition takes to read on.
 */
export type IdMemory = {
  attemptOf(id: string): number
  note(id: string, attempt: number): void
  /** Forgets what is older than the horizon, as of a record's broker time. */
  age(timestampMs: number): void
  readonly size: number
}

export function createIdMemory(horizonMs: number): IdMemory {
  let young = new Map<string, number>()
  let old = new Map<string, number>()
  let turnedAt: number | null = null

  const attemptOf = (id: string) => young.get(id) ?? old.get(id) ?? 0

  return {
    attemptOf,
    note(id, attempt) {
      // What is decided stays so: nothing has to be looked up.
      young.set(id, attempt === DONE ? DONE : Math.max(attempt, attemptOf(id)))
    },
    age(timestampMs) {
      turnedAt ??= timestampMs
      const passedMs = timestampMs - turnedAt
      if (passedMs < horizonMs) return
      old = passedMs < 2 * horizonMs ? young : new Map()
      young = new Map()
      turnedAt = timestampMs
    },
    get size() {
      return young.size + old.size
    },
  }
}
