import type { Plan } from '@weir/contracts'
import type { Gates } from '@weir/core'
import type { DispatcherFigures } from './dispatcher-figures.ts'

/**
 * Whether the path of a plan has room for more jobs now, as pipelines ask that do not queue. The
 * dispatcher tells its figures once a second; what this instance has let in since counts on top.
 */
export type PathRoom = {
  /** The first stage on the path without room for so many jobs; undefined where there is room. */
  lackFor(plan: Plan, jobs: number): string | undefined
  admitted(plan: Plan, jobs: number): void
}

/** What was let in so shortly before the figures came is not yet in them: it was still queued then. */
const UNSEEN_MS = 250

export function createPathRoom(
  gates: Pick<Gates, 'limitOf'>,
  dispatcher: Pick<DispatcherFigures, 'get'>,
  now: () => number = () => performance.now(),
): PathRoom {
  let figures: ReturnType<DispatcherFigures['get']>
  /** Jobs that were let in since, by stage: how many when, the oldest first. */
  const since = new Map<string, { readonly atMs: number; jobs: number }[]>()

  const look = () => {
    const latest = dispatcher.get()
    if (latest === figures) return
    figures = latest
    const fromMs = now() - UNSEEN_MS
    for (const [stage, counts] of since) {
      const kept = counts.filter(({ atMs }) => atMs >= fromMs)
      if (kept.length === 0) since.delete(stage)
      else since.set(stage, kept)
    }
  }

  const heldAt = (stage: string): number => {
    const added = since.get(stage)?.reduce((sum, { jobs }) => sum + jobs, 0) ?? 0
    return (figures?.held[stage] ?? 0) + added
  }

  return {
    lackFor(plan, jobs) {
      look()
      return stagesOf(plan).find((stage) => {
        const limit = gates.limitOf(stage)
        // Of what nobody has measured nothing is known, and the queue bounds it.
        return limit !== undefined && heldAt(stage) + jobs > limit
      })
    },
    admitted(plan, jobs) {
      look()
      const atMs = now()
      for (const stage of stagesOf(plan)) {
        const counts = since.get(stage) ?? []
        const last = counts.at(-1)
        // A count for each fiftieth of a second, not for each job.
        if (last !== undefined && atMs - last.atMs < 20) last.jobs += jobs
        else counts.push({ atMs, jobs })
        since.set(stage, counts)
      }
    },
  }
}

const stagesOf = (plan: Plan): string[] => [...new Set(plan.steps.map(({ stage }) => stage))]
