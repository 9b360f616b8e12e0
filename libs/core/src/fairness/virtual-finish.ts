/**
 * When work would finish if all tenants shared the whole by weight (start-time fair queueing). What
 * has the lowest virtual finish goes next. A tenant that was idle starts at the clock: it neither
 * saves up what it did not use nor pays for it.
 * @param clock virtual time: the virtual finish of what was dispatched last
 * @param lastFinish the tenant's latest virtual finish; one per tenant, over all bands
 * @param cost of the work, in any unit that all tenants share
 * @param weight of the tenant, above 0
 */
export function virtualFinish(
  clock: number,
  lastFinish: number,
  cost: number,
  weight: number,
): number {
  return Math.max(clock, lastFinish) + cost / weight
}
