/**
 * How fast a stage works its input off, in records a second. What it finished in a moment in which
 * it had nothing to do says little, so it counts only as the least that it can do; while records
 * wait, what it finishes is what it can do, and the rate follows that up and down.
 */
export type DrainRate = {
  /** `finished` counts since ever; `isBusy`: records waited all the time since the last sample. */
  sample(atMs: number, finished: number, isBusy: boolean): void
  readonly perSecond: number
}

/** After so long of a new rate the old one makes up a third. */
const MEMORY_MS = 5_000

export function createDrainRate(from = 0): DrainRate {
  let perSecond = from
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
      perSecond = isBusy ? perSecond * keep + now * (1 - keep) : Math.max(perSecond, recent)
    },
    get perSecond() {
      return perSecond
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
