import type { Plan, RunChange } from '@weir/contracts'

/**
 * How many messages are in flight at each stage, and so how many jobs of a plan may still go in.
 * Absolute values with a number per run: lost, doubled and late hints do no harm, and nothing is
 * ever subtracted twice.
 */
export type Room = {
  /** Jobs of this plan that fit in now: the least over its stages, 0 where one is not active. */
  jobsFor(plan: Plan): number
  /** Slots of a stage that nothing holds; below 0 after its limit was lowered. */
  free(stage: string): number
  /** A claimed job holds a slot at each stage of its plan until the ledger says otherwise. */
  take(plan: Plan, job: string, run: number): void
  /** What the ledger announced; an older number than known is ignored. */
  apply(change: RunChange): void
  /** Keeps only these runs: what in_flight says is the truth (reconciliation). */
  keepOnly(runs: ReadonlySet<string>): void
  held(stage: string): number
  /** Of that, what runs of one tenant hold. */
  heldBy(stage: string, tenant: string): number
  /** In-flight limit of a stage. */
  limit(stage: string): number
  /** Slots held at each stage that has some. */
  heldByStage(): Readonly<Record<string, number>>
  readonly runs: number
}

type Held = { seq: number; tenant: string; byStage: Readonly<Record<string, number>> }

/** In-flight limit of a stage, 0 where it may get nothing. */
export type LimitOf = (stage: string) => number

export function createRoom(limitOf: LimitOf): Room {
  const runs = new Map<string, Held>()
  const totals = new Map<string, number>()
  const byTenant = new Map<string, number>()

  const change = (sums: Map<string, number>, key: string, by: number) => {
    const sum = (sums.get(key) ?? 0) + by
    if (sum === 0) sums.delete(key)
    else sums.set(key, sum)
  }

  const add = ({ tenant, byStage }: Held, sign: 1 | -1) => {
    for (const [stage, count] of Object.entries(byStage)) {
      change(totals, stage, sign * count)
      change(byTenant, `${stage} ${tenant}`, sign * count)
    }
  }

  const replace = (key: string, next: Held | undefined) => {
    const before = runs.get(key)
    if (before !== undefined) add(before, -1)
    if (next === undefined) runs.delete(key)
    else {
      runs.set(key, next)
      add(next, 1)
    }
  }

  return {
    jobsFor(plan) {
      let jobs = Number.POSITIVE_INFINITY
      for (const [stage, weight] of Object.entries(weightOf(plan))) {
        const free = limitOf(stage) - (totals.get(stage) ?? 0)
        // A job heavier than the whole limit still goes, alone: else it would never.
        const fits =
          free >= weight ? Math.floor(free / weight) : totals.has(stage) || free <= 0 ? 0 : 1
        jobs = Math.min(jobs, fits)
      }
      return Math.max(0, jobs)
    },
    take(plan, job, run) {
      replace(`${job}/${run}`, { seq: 0, tenant: plan.tenant, byStage: weightOf(plan) })
    },
    apply(change) {
      const key = `${change.job}/${change.run}`
      const known = runs.get(key)
      if (known === undefined || change.seq <= known.seq) return
      if (change.ended) replace(key, undefined)
      else if (change.held !== undefined) {
        replace(key, { ...known, seq: change.seq, byStage: change.held })
      }
    },
    keepOnly(keep) {
      for (const key of [...runs.keys()]) if (!keep.has(key)) replace(key, undefined)
    },
    free: (stage) => limitOf(stage) - (totals.get(stage) ?? 0),
    held: (stage) => totals.get(stage) ?? 0,
    heldBy: (stage, tenant) => byTenant.get(`${stage} ${tenant}`) ?? 0,
    limit: limitOf,
    heldByStage: () => Object.fromEntries(totals),
    get runs() {
      return runs.size
    },
  }
}

const weights = new WeakMap<Plan, Readonly<Record<string, number>>>()

/**
 * Messages that a job of this plan is expected to have at each stage at once. A step outside any
 * fan-out weighs 1 where it stands; the steps of a line do not work at the same time, so a stage's
 * weight is the largest of its steps', not their sum. Inside a fan-out the elements are counted as
 * they show (the ledger's `held`), because `maxItems` is a bound and no estimate.
 */
export function weightOf(plan: Plan): Readonly<Record<string, number>> {
  let known = weights.get(plan)
  if (known === undefined) {
    known = Object.fromEntries(plan.steps.map((step) => [step.stage, 1]))
    weights.set(plan, known)
  }
  return known
}
