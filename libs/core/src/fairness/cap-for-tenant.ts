/**
 * How much of a limit one tenant may hold: all of it while it is alone, half while others wait, and
 * never less than one. Half keeps room for whoever comes without leaving capacity idle for tenants
 * that have little to do; the order among those who wait is that of their virtual finishes.
 * @param limit in flight in all
 * @param othersWaiting number of other tenants that have something waiting
 */
export function capForTenant(limit: number, othersWaiting: number): number {
  if (limit <= 0) return 0
  return othersWaiting > 0 ? Math.max(1, Math.floor(limit / 2)) : limit
}
