import type { StageFigures } from '@weir/contracts'
import { createLogHistogram, type LogHistogram } from '@weir/core'

/** What an instance measures of its tasks, for the registry and its metrics. */
export type Figures = {
  readonly wait: LogHistogram
  readonly work: LogHistogram
  observe(waitMs: number, workMs: number): void
  failed(code: string): void
  toRecord(): StageFigures
}

/** The rate is that of the last moments, not that of a day. */
const RATE_MS = 10_000

export function createFigures(now: () => number = () => performance.now()): Figures {
  const wait = createLogHistogram()
  const work = createLogHistogram()
  let lastError: StageFigures['lastError']
  let count = 0
  /** Counts at the times at which they were told, the newest last. */
  let told: { readonly atMs: number; readonly count: number }[] = [{ atMs: now(), count: 0 }]

  /** Since what was told ten seconds ago, or as far back as there is something. */
  const rateNow = (): number => {
    const atMs = now()
    const from = told.findLast((one) => atMs - one.atMs >= RATE_MS) ?? told[0]
    told = [...told.slice(told.indexOf(from as (typeof told)[number])), { atMs, count }]
    const elapsedMs = atMs - (from?.atMs ?? atMs)
    return elapsedMs <= 0 ? 0 : ((count - (from?.count ?? 0)) * 1_000) / elapsedMs
  }

  return {
    wait,
    work,
    observe(waitMs, workMs) {
      count += 1
      wait.add(waitMs)
      work.add(workMs)
    },
    failed(code) {
      lastError = { code, at: Date.now() }
    },
    toRecord: () => ({
      wait: wait.toRecord(),
      work: work.toRecord(),
      perSecond: Math.round(rateNow() * 100) / 100,
      ...(lastError !== undefined && { lastError }),
    }),
  }
}
