/** What was lost of logs or traces, for one line of a log. */
export type Loss = {
  readonly lost: number
  readonly reasons: Readonly<Record<string, number>>
  /** RFC 3339: of the first and the last that was lost. */
  readonly from: string
  readonly to: string
}

export type LossTally = {
  note(reason: string, count: number): void
  /**
   * What was lost since it was last told. Undefined where nothing was, or something was told of just
   * now: then it is told of later, with what comes to it. `isLast`: there is no later.
   */
  take(isLast?: boolean): Loss | undefined
}

const TELL_EVERY_MS = 10_000

/** Adds up losses until they can be told of: each is in one telling, and tellings are few. */
export function createLossTally(now: () => number = Date.now): LossTally {
  let lost = 0
  let reasons: Record<string, number> = {}
  let firstMs = 0
  let lastMs = 0
  let toldMs = Number.NEGATIVE_INFINITY
  return {
    note(reason, count) {
      if (count === 0) return
      lastMs = now()
      if (lost === 0) firstMs = lastMs
      lost += count
      reasons[reason] = (reasons[reason] ?? 0) + count
    },
    take(isLast = false) {
      const nowMs = now()
      if (lost === 0 || (!isLast && nowMs - toldMs < TELL_EVERY_MS)) return undefined
      const loss = { lost, reasons, from: toTime(firstMs), to: toTime(lastMs) }
      lost = 0
      reasons = {}
      toldMs = nowMs
      return loss
    },
  }
}

const toTime = (ms: number): string => new Date(ms).toISOString()
