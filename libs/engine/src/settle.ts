import type { Bell } from '@weir/runtime'

/** A partition that starts nothing any more, as far as waiting for it needs it. */
export type Settling = {
  /** Nothing of it is under way. */
  readonly isQuiet: boolean
  pump(): void
}

export type SettleOptions = {
  readonly partitions: readonly Settling[]
  /** Rings whenever something of any partition has changed. */
  readonly news: Bell
  /** Commits where all partitions stand; false where that is not taken. */
  readonly commit: () => Promise<boolean>
  /** Milliseconds of the monotonic clock. */
  readonly now: () => number
  readonly untilMs: number
}

/** Between two looks at what nothing tells of: a confirmed membership, a group that is divided. */
const LOOK_MS = 50

/**
 * Waits until nothing of the partitions is under way and where they stand is committed: true, or
 * false where it was not by `untilMs`.
 */
export async function settle(options: SettleOptions): Promise<boolean> {
  const { partitions, news, commit, now, untilMs } = options
  const isQuiet = () => partitions.every((one) => one.isQuiet)
  for (let hasRung = false; ; ) {
    // What waits to be sent until the membership is confirmed waits for this. Not at each ring: to
    // pump what has changed rings again.
    if (!hasRung) for (const one of partitions) one.pump()
    const isTaken = !isQuiet() || (await commit())
    if (isTaken && isQuiet()) return true
    const leftMs = untilMs - now()
    if (leftMs <= 0) return false
    const lookMs = Math.min(leftMs, LOOK_MS)
    // A commit is refused while the group is being divided; then the next generation takes it.
    if (!isTaken) await new Promise((resolve) => setTimeout(resolve, lookMs))
    hasRung = await news.heard(isTaken ? lookMs : 0)
  }
}
