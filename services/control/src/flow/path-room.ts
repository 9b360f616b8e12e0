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

export function createPathRoom(
  gates: Pick<Gates, 'limitOf'>,
  dispatcher: Pick<DispatcherFigures, 'get'>,
): PathRoom {
  let figures: ReturnType<DispatcherFigures['get']>
  const since = new Map<string, number>()

  const heldAt = (stage: string): number => {
    const now = dispatcher.get()
    if (now !== figures) {
      figures = now
      since.clear()
    }
    return (figures?.held[stage] ?? 0) + (since.get(stage) ?? 0)
  }

  return {
    lackFor(plan, jobs) {
      return stagesOf(plan).find((stage) => {
        const limit = gates.limitOf(stage)
        // Of what nobody has measured nothing is known, and the queue bounds it.
        return limit !== undefined && heldAt(stage) + jobs > limit
      })
    },
    admitted(plan, jobs) {
      for (const stage of stagesOf(plan)) {
        heldAt(stage)
        since.set(stage, (since.get(stage) ?? 0) + jobs)
      }
    },
  }
}

const stagesOf = (plan: Plan): string[] => [...new Set(plan.steps.map(({ stage }) => stage))]
