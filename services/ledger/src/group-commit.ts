import { commitFolds, type Fold, type FoldAnswer, type Pool } from '@weir/postgres'

/**
 * Writes the folds of all partitions of this process, one transaction at a time: while one is under
 * way the others' folds wait and then go together. Apart they would wait for each other all the
 * same, on the usage row of the tenant that they share, and each would pay for its own commit.
 */
export type GroupCommit = {
  /** Answers when the fold is committed, or when it cannot be as it is. Rejects where Postgres does not answer. */
  commit(fold: Fold): Promise<FoldAnswer>
}

type Waiting = {
  readonly fold: Fold
  readonly resolve: (answer: FoldAnswer) => void
  readonly reject: (error: unknown) => void
}

export function createGroupCommit(pool: Pool): GroupCommit {
  let waiting: Waiting[] = []
  let isUnderWay = false

  const write = async (group: readonly Waiting[]): Promise<void> => {
    const folds = group.map(({ fold }) => fold)
    const written = await commitFolds(pool, folds).catch((error: unknown) => ({ error }))
    if (written !== 'committed' && group.length > 1) {
      // Nothing of the group was written: whose fault it was shows one by one.
      for (const one of group) await write([one])
      return
    }
    for (const { resolve, reject } of group) {
      if (typeof written === 'string') resolve(written)
      else reject(written.error)
    }
  }

  const run = async (): Promise<void> => {
    while (waiting.length > 0) {
      const group = waiting
      waiting = []
      await write(group)
    }
    isUnderWay = false
  }

  return {
    commit: (fold) =>
      new Promise((resolve, reject) => {
        waiting.push({ fold, resolve, reject })
        if (isUnderWay) return
        isUnderWay = true
        // The turn's other partitions go with it.
        setImmediate(run)
      }),
  }
}
