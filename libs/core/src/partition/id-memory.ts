/** The task or join with this id is decided: no attempt of it runs again. */
export const DONE = Number.POSITIVE_INFINITY

/**
 * Memory of duplicates: each id with its highest finished attempt, or `DONE`. Two generations of at
 * least the horizon each: an id is forgotten between one and two horizons after it was last noted,
 * at constant cost.
 */
export type IdMemory = {
  attemptOf(id: string): number
  note(id: string, attempt: number): void
  /** Forgets what is older than the horizon; call it now and then. */
  age(nowMs: number): void
  readonly size: number
}

export function createIdMemory(horizonMs: number, startMs: number): IdMemory {
  let young = new Map<string, number>()
  let old = new Map<string, number>()
  let turnedAt = startMs

  const attemptOf = (id: string) => young.get(id) ?? old.get(id) ?? 0

  return {
    attemptOf,
    note(id, attempt) {
      young.set(id, Math.max(attempt, attemptOf(id)))
    },
    age(nowMs) {
      if (nowMs - turnedAt < horizonMs) return
      old = nowMs - turnedAt < 2 * horizonMs ? young : new Map()
      young = new Map()
      turnedAt = nowMs
    },
    get size() {
      return young.size + old.size
    },
  }
}
