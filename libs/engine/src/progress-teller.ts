import type { TaskProgress } from '@weir/contracts'

/** At most one a second of a task, and at most so many of an attempt: a log has to stay readable. */
const INTERVAL_MS = 1_000
const REPORTS_MAX = 1_000

/**
 * What a handler says of its progress, as reports: the first at once, later ones at most once a
 * second with what was said last, and the last one before the task's own end.
 */
export type ProgressTeller = {
  say(done: number, total: number | undefined): void
  /** The handler has ended: what is not told yet is told now, and nothing after it. */
  end(): void
}

export function createProgressTeller(
  nowMs: () => number,
  tell: (progress: TaskProgress) => void,
): ProgressTeller {
  let told = 0
  let nextAtMs = 0
  let untold: Omit<TaskProgress, 'n'> | undefined
  let timer: NodeJS.Timeout | undefined
  let isOver = false

  const flush = () => {
    clearTimeout(timer)
    timer = undefined
    if (untold === undefined) return
    const progress = untold
    untold = undefined
    told += 1
    nextAtMs = nowMs() + INTERVAL_MS
    tell({ n: told, ...progress })
  }

  return {
    say(done, total) {
      if (isOver || told >= REPORTS_MAX || !Number.isFinite(done)) return
      untold = { done, ...(Number.isFinite(total) && { total: total as number }) }
      if (timer !== undefined) return
      const waitMs = nextAtMs - nowMs()
      if (waitMs <= 0) flush()
      else timer = setTimeout(flush, waitMs)
    },
    end() {
      flush()
      isOver = true
    },
  }
}
