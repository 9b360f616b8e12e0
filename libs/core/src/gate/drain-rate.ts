/**
 * How fast a stage works its input off, in records a second. What it finished in a moment in which
 * it had nothing to do says little, so it counts only as the least that it can do; while records
 * wait, what it finishes is what it can do, and the rate follows that up and down.
 */
export type DrainRate = {
  /** `finished` counts since ever; `isBusy`: records waited all the time since the last sample. */
  sample(atMs: number, finished: number, isBusy: boolean): void
  readonly perSecond: number
  /** What it has finished lately, a second, whether there was more to do or not. */
  readonly throughput: number
}

/** After so long of a new rate the old one makes up a third. */
const MEMORY_MS = 5_000

/** A record that is older than this was not just waiting to be looked at. */
const BACKLOG_AGE_MS = 1_000

/** True where there was more to do than was done, not just something that takes its time. */
export function isBacklog(level: { readonly waiting: number; readonly oldestAgeMs: number }) {
  return level.waiting > 0 && level.oldestAgeMs > BACKLOG_AGE_MS
}

export function createDrainRate(from = 0): DrainRate {
  let perSecond = from
  /** How much of the rate was measured while records waited; the rest is the least it can be. */
  let weight = from > 0 ? 1 : 0
  let recent = 0
  let last: { readonly atMs: number; readonly finished: number } | undefined

  return {
    sample(atMs, finished, isBusy) {
      const before = last
      last = { atMs, finished }
      if (before === undefined || atMs <= before.atMs) return
      const elapsedMs = atMs - before.atMs
      const now = (Math.max(0, finished - before.finished) * 1_000) / elapsedMs
      const keep = Math.exp(-elapsedMs / MEMORY_MS)
      recent = recent * keep + now * (1 - keep)
      if (!isBusy) {
        perSecond = Math.max(perSecond, recent)
        return
      }
      // What was measured first counts in full: a stage that has just begun is not slow.
      const kept = weight * keep
      weight = kept + 1 - keep
      perSecond = (perSecond * kept + now * (1 - keep)) / weight
    },
    get perSecond() {
      return perSecond
    },
    get throughput() {
      return recent
    },
  }
}

/** A day: what takes longer is not worth a figure. */
const LAG_MAX_MS = 86_400_000

/**
 * How long what waits will take. Where no rate is known: as long as it has waited already, which is
 * the least it can be.
 */
export function lagToMs(lag: number, perSecond: number, oldestAgeMs: number): number {
  if (lag === 0) return 0
  const ms = perSecond > 0 ? (lag * 1_000) / perSecond : oldestAgeMs
  return Math.round(Math.min(ms, LAG_MAX_MS))
}
