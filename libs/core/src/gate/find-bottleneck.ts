import type { BelievedState } from './believe-gate.ts'

/** One lane of a stage; figures are null where they are not known, or not shown. */
export type FlowLevel = {
  readonly stage: string
  readonly state: BelievedState
  readonly lag: number | null
  readonly lagMs: number | null
  readonly drainRate: number | null
  readonly inFlight: number | null
  readonly inFlightLimit: number
  readonly reason: string | null
}

export type Bottleneck = { readonly stage: string; readonly why: string }

/** What takes less is no bottleneck, whatever its place in the order. */
const WORTH_MS = 1_000

/**
 * What holds the flow up: a closed gate with work behind it, else the stage whose input takes longest
 * to work off, else one whose limit is used up while jobs wait.
 */
export function findBottleneck(
  levels: readonly FlowLevel[],
  queued: number | null,
): Bottleneck | undefined {
  const isWaiting = (queued ?? 0) > 0
  const closed = levels
    .filter(({ state, lag }) => state === 'closed' && (lag === null ? isWaiting : lag > 0))
    .sort((a, b) => (b.lag ?? 0) - (a.lag ?? 0))[0]
  if (closed !== undefined) {
    const waits = closed.lag === null ? '' : `, ${records(closed.lag)} behind it`
    return { stage: closed.stage, why: `its gate is closed (${closed.reason ?? 'closed'})${waits}` }
  }
  const slowest = levels
    .filter(({ lagMs }) => (lagMs ?? 0) >= WORTH_MS)
    .sort((a, b) => (b.lagMs ?? 0) - (a.lagMs ?? 0))[0]
  if (slowest !== undefined) {
    const seconds = ((slowest.lagMs ?? 0) / 1_000).toFixed(1)
    const rate = (slowest.drainRate ?? 0).toFixed(1)
    return {
      stage: slowest.stage,
      why: `${records(slowest.lag ?? 0)} wait, ${seconds} s of work at ${rate}/s`,
    }
  }
  const full = levels.find(
    ({ inFlight, inFlightLimit }) => inFlight !== null && inFlight >= inFlightLimit,
  )
  if (full !== undefined && isWaiting && full.state === 'open') {
    return { stage: full.stage, why: `its limit of ${full.inFlightLimit} in flight is used up` }
  }
  return undefined
}

const records = (count: number) => `${count} ${count === 1 ? 'record' : 'records'}`
