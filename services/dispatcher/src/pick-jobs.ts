import type { Plan } from '@weir/contracts'
import type { Pick, QueueHead } from '@weir/postgres'
import type { Room } from './room.ts'

/** Most jobs of one claim: bounds the transaction, and how long others wait for it. */
export const CLAIM_MAX = 500

/** Shares of the bands when there is more to do than room, lowest band first (features.md S1-15). */
export const BAND_SHARES = [1, 2, 4, 8] as const

export type Picks = {
  readonly picks: readonly Pick[]
  readonly bandLimits: readonly [number, number, number, number]
}

/**
 * What to claim next: for each plan whose path has room a bounded pick per band, and for each band
 * its share of the claim. A share that a band cannot use goes to the others with the next claim,
 * because bands without a queue count for nothing. A plan without room is left out, so a blocked
 * pipeline never blocks the scan.
 */
export function pickJobs(
  heads: readonly QueueHead[],
  plans: ReadonlyMap<string, Plan>,
  room: Room,
): Picks {
  const picks: Pick[] = []
  const waiting = new Set<number>()
  for (const head of heads) {
    const plan = plans.get(head.planId)
    const jobs = plan === undefined ? 0 : Math.min(room.jobsFor(plan), CLAIM_MAX)
    if (jobs <= 0) continue
    waiting.add(head.band)
    picks.push({ planId: head.planId, band: head.band, limit: jobs })
  }
  const total = [...waiting].reduce((sum, band) => sum + (BAND_SHARES[band] as number), 0)
  const limitOf = (band: number) =>
    waiting.has(band)
      ? Math.max(1, Math.floor((CLAIM_MAX * (BAND_SHARES[band] as number)) / total))
      : 0
  return { picks, bandLimits: [limitOf(0), limitOf(1), limitOf(2), limitOf(3)] }
}
