import type { CommitResult, OffsetToCommit } from '@weir/kafka'
import type { Logger } from '@weir/runtime'

/** Whose position is committed. */
export type Committable = {
  toCommit(): OffsetToCommit | undefined
  committed(commit: OffsetToCommit): void
  /** What `toCommit` gave was not taken: it is to be given again. */
  notCommitted(): void
}

/**
 * Commits what has changed: while there is work a commit follows the other after a short gap, an
 * idle instance commits nothing. A commit that fails because the group is being divided is no loss:
 * the next owner reads a little more again.
 */
export type CommitLoop = {
  /** Something has changed. */
  touch(): void
  /** Commits now, after the one under way; true where nothing is left to commit. */
  commit(): Promise<boolean>
  stop(): void
}

export type CommitLoopOptions = {
  readonly partitions: () => Iterable<Committable>
  readonly send: (offsets: readonly OffsetToCommit[]) => Promise<CommitResult>
  readonly log: Logger
  readonly onCommitted: () => void
}

/** With the time that a commit takes this stays below `limits.commitIntervalMs`. */
const GAP_MS = 100

export function createCommitLoop(options: CommitLoopOptions): CommitLoop {
  let timer: NodeJS.Timeout | undefined
  let underWay: Promise<boolean> | undefined
  let isTouched = false
  let isStopped = false

  const commitOnce = async (): Promise<boolean> => {
    isTouched = false
    const pairs: [Committable, OffsetToCommit][] = []
    for (const partition of options.partitions()) {
      const commit = partition.toCommit()
      if (commit !== undefined) pairs.push([partition, commit])
    }
    if (pairs.length === 0) return true
    const result = await options.send(pairs.map(([, commit]) => commit))
    if (!result.ok) {
      for (const [partition] of pairs) partition.notCommitted()
      // While the group is being divided nothing is taken; the next generation takes it.
      isTouched ||= result.reason === 'rebalance' || result.reason === 'unavailable'
      const isExpected = result.reason !== 'metadata_too_large' && result.reason !== 'unavailable'
      const fields = { reason: result.reason, err: result.error }
      if (isExpected) options.log.debug(fields, 'a commit was not taken')
      else options.log.warn(fields, 'a commit was not taken')
      return false
    }
    for (const [partition, commit] of pairs) partition.committed(commit)
    options.onCommitted()
    return true
  }

  const commit = async (): Promise<boolean> => {
    // One after the other, whoever asks: who is told that all is committed relies on it.
    while (underWay !== undefined) await underWay
    underWay = commitOnce()
    try {
      return await underWay
    } finally {
      underWay = undefined
    }
  }

  const touch = () => {
    isTouched = true
    if (timer !== undefined || underWay !== undefined || isStopped) return
    timer = setTimeout(() => {
      timer = undefined
      void commit().then(() => {
        if (isTouched) touch()
      })
    }, GAP_MS)
  }

  return {
    touch,
    commit,
    stop() {
      isStopped = true
      clearTimeout(timer)
    },
  }
}
