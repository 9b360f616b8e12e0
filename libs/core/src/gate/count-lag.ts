import { type CommitMetadata, decodeMetadata } from '../watermark/metadata.ts'

/** Where one partition of a stage's input stands, as the broker tells. */
export type PartitionState = {
  /** The offset that the next record gets. */
  readonly end: number
  /** The watermark that its group has committed; null where it has committed nothing. */
  readonly watermark: number | null
  readonly metadata: string | null
}

export type PartitionLag = {
  /** Records that are not finished: end − watermark − finished beyond the watermark. */
  readonly lag: number
  /** Of these, the ones that nobody has taken up: they do not run, and wait for no next attempt. */
  readonly waiting: number
  /** Records that are finished, since the log began. */
  readonly finished: number
  /** The oldest record that is not finished; undefined where all are. */
  readonly oldest: number | undefined
}

/** What waits or is worked on in one partition. */
export function countLag({ end, watermark, metadata }: PartitionState): PartitionLag {
  const from = Math.min(watermark ?? 0, end)
  let beyond = 0
  const committed = metadata === null ? undefined : decodeMetadata(watermark ?? 0, metadata)
  for (const [first, length] of committed?.finished ?? []) {
    // The commit may be younger than the look at the log's end.
    beyond += Math.max(0, Math.min(first + length, end) - first)
  }
  const lag = Math.max(0, end - from - beyond)
  return {
    lag,
    waiting: waitingOf(lag, committed),
    finished: from + beyond,
    oldest: lag === 0 ? undefined : from,
  }
}

/** An owner that does not say what it has taken up is not suspected of being slow. */
function waitingOf(lag: number, committed: CommitMetadata | undefined): number {
  if (committed === undefined) return lag
  return committed.started === undefined ? 0 : Math.max(0, lag - committed.started)
}
