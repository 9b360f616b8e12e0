import type { Plan } from '@weir/contracts'
import { type BandCredits, shareBands } from '@weir/core'
import type { Pick, QueueHead } from '@weir/postgres'
import type { Room } from './room.ts'

/** Most jobs of one claim: bounds the transaction, and how long others wait for it. */
export const CLAIM_MAX = 500

export type Picks = {
  readonly picks: readonly Pick[]
  readonly bandLimits: readonly [number, number, number, number]
  /** To hand to the next claim: what this one has rounded away. */
  readonly credits: BandCredits
}

/**
 * What to claim next: for each plan whose path has room a bounded pick per band, and for each band
 * its share of the claim; bands without a queue count for nothing. A plan without room is left out,
 * so a blocked pipeline never blocks the scan.
 */
export function pickJobs(
  heads: readonly QueueHead[],
  plans: ReadonlyMap<string, Plan>,
  room: Room,
  credits?: BandCredits,
): Picks {
  const picks: Pick[] = []
  const waiting = [0, 0, 0, 0]
  for (const head of heads) {
    const plan = plans.get(head.planId)
    const jobs = plan === undefined ? 0 : Math.min(room.jobsFor(plan), CLAIM_MAX)
    if (jobs <= 0) continue
    waiting[head.band] = CLAIM_MAX
    picks.push({ planId: head.planId, band: head.band, limit: jobs })
  }
  const shares = shareBands(waiting, CLAIM_MAX, credits)
  const [low = 0, normal = 0, high = 0, system = 0] = shares.take
  return { picks, bandLimits: [low, normal, high, system], credits: shares.credits }
}
