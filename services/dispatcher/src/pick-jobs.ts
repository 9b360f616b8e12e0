import type { Plan } from '@weir/contracts'
import { type BandCredits, capForTenant, NO_CREDITS, shareBands } from '@weir/core'
import type { Pick, QueueHead } from '@weir/postgres'
import { type Room, weightOf } from './room.ts'

/** Most jobs of one claim: bounds the transaction, and how long others wait for it. */
export const CLAIM_MAX = 500

/** What the bands are owed from the claims before, at each stage that was the narrowest of a path. */
export type StageCredits = ReadonlyMap<string, BandCredits>

export type Picks = {
  readonly picks: readonly Pick[]
  readonly bandLimits: readonly [number, number, number, number]
  /** To hand to the next claim. */
  readonly credits: StageCredits
  /**
   * Some queue was given less than it could have alone: if others then turn out to be shorter than
   * what they were given, there is room left to be given at once.
   */
  readonly isTight: boolean
}

type Candidate = {
  readonly head: QueueHead
  readonly plan: Plan
  readonly jobs: number
  /** Where the next job of this queue would stand: those behind the head are not known. */
  nextFinish: number
  granted: number
}

/**
 * What to claim next, as a bounded pick per plan and band. A slot of a stage is given once, however
 * many queues could use it. Where it is scarce the bands get their shares of it, 8:4:2:1 over time
 * even if there is one slot at a time, and within a band the lowest virtual finish goes first. Each
 * narrow stage keeps its own account of the bands, so that what flows past it elsewhere does not
 * count. A plan without room is left out, so a blocked pipeline never blocks the scan. While other
 * tenants wait for a stage one tenant gets no more than its share of the limit there: virtual time
 * alone would let one whose jobs are slow come to hold all of it.
 */
export function pickJobs(
  heads: readonly QueueHead[],
  plans: ReadonlyMap<string, Plan>,
  room: Room,
  credits: StageCredits = new Map(),
): Picks {
  const candidates: Candidate[] = []
  for (const head of heads) {
    const plan = plans.get(head.planId)
    const jobs = plan === undefined ? 0 : Math.min(room.jobsFor(plan), CLAIM_MAX)
    if (plan === undefined || jobs <= 0) continue
    candidates.push({ head, plan, jobs, nextFinish: head.virtualFinish, granted: 0 })
  }
  const groups = [...Map.groupBy(candidates, ({ plan }) => narrowestOf(plan, room))]
  // The narrowest first: there is always enough left of a claim for the few slots it has.
  groups.sort(([one], [other]) => room.free(one) - room.free(other))

  const booking = openBooking(room, candidates)
  const nextCredits = new Map<string, BandCredits>()
  let left = CLAIM_MAX
  for (const [stage, queues] of groups) {
    const shared = shareSlots(queues, booking, left, credits.get(stage) ?? NO_CREDITS)
    left -= shared.granted
    nextCredits.set(stage, shared.credits)
  }

  const bandLimits: [number, number, number, number] = [0, 0, 0, 0]
  for (const { head, granted } of candidates) bandLimits[head.band as 0 | 1 | 2 | 3] += granted
  return {
    picks: candidates
      .filter(({ granted }) => granted > 0)
      .map(({ head, granted }) => ({ planId: head.planId, band: head.band, limit: granted })),
    bandLimits,
    credits: nextCredits,
    isTight: candidates.some(({ granted, jobs }) => granted < jobs),
  }
}

/** Stage of a plan with the fewest free slots. */
function narrowestOf(plan: Plan, room: Room): string {
  let narrowest = ''
  let least = Number.POSITIVE_INFINITY
  for (const stage of Object.keys(weightOf(plan))) {
    const free = room.free(stage)
    if (free >= least) continue
    least = free
    narrowest = stage
  }
  return narrowest
}

/** Gives slots to the queues that share a narrow stage, at most `most`; one by one where they are several. */
function shareSlots(
  queues: readonly Candidate[],
  booking: Booking,
  most: number,
  before: BandCredits,
): { granted: number; credits: BandCredits } {
  const open = [0, 1, 2, 3].map((band) => queues.filter(({ head }) => head.band === band))
  const waiting = open.map((own) => (own.length > 0 ? CLAIM_MAX : 0))
  const kept = before.map((credit, band) => ((waiting[band] as number) > 0 ? credit : 0))
  const [only] = queues
  if (only !== undefined && queues.length === 1) {
    // How many wait behind its head is not known: one by one would be hundreds of steps for one job.
    only.granted = booking.take(only.plan, Math.min(only.jobs, most))
    return { granted: only.granted, credits: kept }
  }
  let granted = 0
  while (granted < most && waiting.some((count) => count > 0)) {
    const { take, credits } = shareBands(waiting, 1, kept)
    const band = take.indexOf(1)
    const next = takeFirst(open[band] as Candidate[], booking)
    if (next === undefined) {
      // Without room, not without a queue: what it is owed stays.
      waiting[band] = 0
      continue
    }
    for (const [at, count] of waiting.entries()) if (count > 0) kept[at] = credits[at] as number
    granted += 1
  }
  return { granted, credits: kept }
}

/** Books a slot for the queue that is first in line and fits; queues that do not fit are dropped. */
function takeFirst(queues: Candidate[], booking: Booking): Candidate | undefined {
  for (;;) {
    let first: Candidate | undefined
    for (const queue of queues) {
      if (first === undefined || queue.nextFinish < first.nextFinish) first = queue
    }
    if (first === undefined) return undefined
    if (first.granted < first.jobs && booking.take(first.plan, 1) === 1) {
      first.granted += 1
      first.nextFinish += 1
      return first
    }
    queues.splice(queues.indexOf(first), 1)
  }
}

/** What one claim takes of the room, before anything is claimed. */
type Booking = {
  /** Takes the slots of as many jobs of a plan as fit, at most `most`; answers how many. */
  take(plan: Plan, most: number): number
}

function openBooking(room: Room, candidates: readonly Candidate[]): Booking {
  const booked = new Map<string, number>()
  const waiting = new Map<string, Set<string>>()
  for (const { plan } of candidates) {
    for (const stage of Object.keys(weightOf(plan))) {
      waiting.set(stage, (waiting.get(stage) ?? new Set()).add(plan.tenant))
    }
  }
  const keyOf = (stage: string, tenant: string) => `${stage} ${tenant}`
  const count = (key: string, by: number) => booked.set(key, (booked.get(key) ?? 0) + by)

  /** The least a tenant can have is one job, however heavy. */
  const withinShare = (stage: string, tenant: string, weight: number): number => {
    const others = (waiting.get(stage)?.size ?? 0) - 1
    const own = room.heldBy(stage, tenant) + (booked.get(keyOf(stage, tenant)) ?? 0)
    const jobs = Math.floor((capForTenant(room.limit(stage), others) - own) / weight)
    return Math.max(jobs, own === 0 ? 1 : 0)
  }

  /** As for the room itself: heavier than the whole limit goes alone. */
  const withinRoom = (stage: string, weight: number): number => {
    const own = booked.get(stage) ?? 0
    const free = room.free(stage) - own
    const isAlone = free > 0 && own === 0 && room.held(stage) === 0
    return Math.max(Math.floor(free / weight), isAlone ? 1 : 0)
  }

  return {
    take(plan, most) {
      const weights = Object.entries(weightOf(plan))
      let jobs = most
      for (const [stage, weight] of weights) {
        const here = Math.min(withinShare(stage, plan.tenant, weight), withinRoom(stage, weight))
        jobs = Math.min(jobs, here)
      }
      if (jobs <= 0) return 0
      for (const [stage, weight] of weights) {
        count(stage, jobs * weight)
        count(keyOf(stage, plan.tenant), jobs * weight)
      }
      return jobs
    },
  }
}
