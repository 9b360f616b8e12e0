/** Rate limit: tokens a second, and how many may be taken at once after a pause. */
export type BucketLimit = { readonly ratePerSecond: number; readonly burst: number }

/**
 * All that a bucket remembers (GCRA): the time at which it would be full again, in milliseconds of
 * the caller's clock. 0 for a bucket that was never used.
 */
export type BucketState = number

export type BucketAnswer =
  | { readonly isAllowed: true; readonly state: BucketState; readonly left: number }
  | {
      readonly isAllowed: false
      readonly state: BucketState
      /** Until the tokens are there; infinite where they are more than the burst. */
      readonly retryAfterMs: number
    }

/**
 * Takes tokens from a bucket if they are there; a refusal takes nothing. For limits inside one
 * process: the clock should be monotonic.
 */
export function takeTokens(
  state: BucketState,
  { ratePerSecond, burst }: BucketLimit,
  nowMs: number,
  tokens = 1,
): BucketAnswer {
  const perTokenMs = 1_000 / ratePerSecond
  const start = Math.max(state, nowMs)
  const next = start + tokens * perTokenMs
  const waitMs = next - burst * perTokenMs - nowMs
  // A millionth of a token: what floating point loses must not refuse the last token of a burst.
  if (waitMs <= perTokenMs * 1e-6) {
    const left = Math.floor(burst - (next - nowMs) / perTokenMs + 1e-6)
    return { isAllowed: true, state: next, left }
  }
  return {
    isAllowed: false,
    state,
    retryAfterMs: tokens > burst ? Number.POSITIVE_INFINITY : waitMs,
  }
}
