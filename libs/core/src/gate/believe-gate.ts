import type { GateRecord } from '@weir/contracts'

/** What is not confirmed for so long is not known any more. */
export const GATE_KNOWN_MS = 2_000
/** A gate that was closed is held for closed so long. */
const CLOSED_MS = 60_000
/** What was known is not acted on any longer. */
const DECAYED_MS = 10_000

/** A gate that is read at the start counts as this old: nobody knows when it was written. */
export const GATE_AGE_AT_START_MS = GATE_KNOWN_MS

export type BelievedState = GateRecord['state'] | 'unknown'

/**
 * What may be believed of a gate whose last confirmation came `ageMs` ago, by arrival and not by
 * anybody's clock. Stale is not open (promise 10).
 */
export function believeGate(state: GateRecord['state'], ageMs: number): BelievedState {
  if (state === 'closed' && ageMs <= CLOSED_MS) return 'closed'
  return ageMs < GATE_KNOWN_MS ? state : 'unknown'
}

/**
 * What may be in flight at a stage by a gate whose last confirmation came `ageMs` ago. Without news a
 * limit can only fall: after ten seconds to the floor that keeps the system moving. One that was
 * closed stays closed for a minute, and then opens to the floor.
 */
export function believeLimit(
  { state, inFlightLimit, floor = 1 }: Pick<GateRecord, 'state' | 'inFlightLimit' | 'floor'>,
  ageMs: number,
): number {
  if (state === 'closed') return ageMs <= CLOSED_MS ? 0 : floor
  return ageMs < DECAYED_MS ? inFlightLimit : Math.min(inFlightLimit, floor)
}
