import { BANDS } from '@weir/contracts'

/** Shares of the bands while all of them have work, lowest band first. The lowest is the floor. */
const BAND_SHARES = [1, 2, 4, 8] as const

/** What each band is owed from the rounds before; one number per band, lowest band first. */
export type BandCredits = readonly number[]

export const NO_CREDITS: BandCredits = BANDS.map(() => 0)

export type BandShares = {
  /** How many to take from each band, lowest band first; never more than are queued. */
  readonly take: readonly number[]
  /** To hand to the next round. */
  readonly credits: BandCredits
}

/**
 * Divides room among the bands of priority 8:4:2:1. Work-conserving: what one band cannot use goes
 * to the others by their shares. Exact over time however small each round is, because what a round
 * rounds away is carried as credit (smooth weighted round robin); a band without work gathers none.
 * @param queued waiting in each band, lowest band first
 * @param room how many can be taken in all
 */
export function shareBands(
  queued: readonly number[],
  room: number,
  credits: BandCredits = NO_CREDITS,
): BandShares {
  const take = BAND_SHARES.map(() => 0)
  const owed = BAND_SHARES.map((_, band) => ((queued[band] ?? 0) > 0 ? (credits[band] ?? 0) : 0))
  const total = queued.reduce((sum, count) => sum + count, 0)
  for (let left = Math.min(room, total); left > 0; left--) {
    let best = -1
    let shares = 0
    for (let band = BAND_SHARES.length - 1; band >= 0; band--) {
      if ((take[band] as number) >= (queued[band] ?? 0)) continue
      const share = BAND_SHARES[band] as number
      shares += share
      owed[band] = (owed[band] as number) + share
      if (best === -1 || (owed[band] as number) > (owed[best] as number)) best = band
    }
    owed[best] = (owed[best] as number) - shares
    take[best] = (take[best] as number) + 1
  }
  const isWaiting = (band: number) => (take[band] as number) < (queued[band] ?? 0)
  return { take, credits: owed.map((credit, band) => (isWaiting(band) ? credit : 0)) }
}
