import type { Plan } from '@weir/contracts'
import type { Gates } from '@weir/core'
import type { DispatcherFigures } from './dispatcher-figures.ts'

/**
 * Whether the path of a plan has room for more jobs now, as pipelines ask that do not queue. The
 * dispatcher tells what is held about once a second; what such pipelines were given by this instance
 * since counts on top, less what the stage can have done meanwhile.
 */
export type PathRoom = {
  /**
   * Takes room for so many jobs, at once, so that submits side by side do not all get the last of it.
   * Undefined where there was room, else the first stage on the path without.
   */
  take(plan: Plan, jobs: number): string | undefined
}

/** What was given so long ago is among what the dispatcher has told, or has gone through. */
const UNSEEN_MS = 1_250
/** A count for each fiftieth of a second, not for each job. */
const SLICE_MS = 20

export function createPathRoom(
  gates: Pick<Gates, 'limitOf' | 'rateOf'>,
  dispatcher: Pick<DispatcherFigures, 'get'>,
  now: () => number = () => performance.now(),
): PathRoom {
  /** By stage, the oldest first. */
  const given = new Map<string, { readonly atMs: number; jobs: number }[]>()

  const givenAt = (stage: string): number => {
    const atMs = now()
    const counts = given.get(stage)?.filter((one) => atMs - one.atMs < UNSEEN_MS) ?? []
    if (counts.length === 0) {
      given.delete(stage)
      return 0
    }
    given.set(stage, counts)
    const jobs = counts.reduce((sum, one) => sum + one.jobs, 0)
    const done = (gates.rateOf(stage) * (atMs - (counts[0]?.atMs ?? atMs))) / 1_000
    return Math.max(0, jobs - done)
  }

  const note = (stage: string, jobs: number) => {
    const atMs = now()
    const counts = given.get(stage) ?? []
    const last = counts.at(-1)
    if (last !== undefined && atMs - last.atMs < SLICE_MS) last.jobs += jobs
    else counts.push({ atMs, jobs })
    given.set(stage, counts)
  }

  return {
    take(plan, jobs) {
      const held = dispatcher.get()?.held
      const stages = stagesOf(plan)
      const lack = stages.find((stage) => {
        const limit = gates.limitOf(stage)
        // Of what nobody has measured nothing is known, and the queue bounds it.
        if (limit === undefined) return false
        const there = (held?.[stage] ?? 0) + givenAt(stage)
        // As in the dispatcher: what is more than the whole limit goes alone, else it never would.
        const isAlone = there === 0 && limit > 0
        return there + jobs > limit && !isAlone
      })
      if (lack === undefined) for (const stage of stages) note(stage, jobs)
      return lack
    },
  }
}

const stagesOf = (plan: Plan): string[] => [...new Set(plan.steps.map(({ stage }) => stage))]
