import type { RetryPolicy } from '@weir/contracts'

/** The delay without jitter after a failed attempt, capped; attempts count from 1. */
function plainDelay({ backoff, baseMs, maxMs }: RetryPolicy, attempt: number): number {
  switch (backoff) {
    case 'exponential':
      return Math.min(maxMs, baseMs * 2 ** Math.min(attempt - 1, 52))
    case 'linear':
      return Math.min(maxMs, baseMs * attempt)
    case 'constant':
      return Math.min(maxMs, baseMs)
    default:
      return backoff satisfies never
  }
}

/**
 * How long to wait before the next attempt, in whole milliseconds, never above `maxMs`.
 * - `none`: the delay d of the backoff; `full`: between 0 and d; `equal`: between d/2 and d.
 * - `decorrelated`: between the base and three times the delay before, whatever the backoff.
 * @param attempt number of the attempt that failed, from 1
 * @param random a number in [0, 1)
 * @param previousMs the delay before this one; without it that of the backoff stands in
 */
export function nextDelayMs(
  policy: RetryPolicy,
  attempt: number,
  random: number,
  previousMs?: number,
): number {
  const delay = plainDelay(policy, attempt)
  switch (policy.jitter) {
    case 'none':
      return Math.round(delay)
    case 'full':
      return Math.round(random * delay)
    case 'equal':
      return Math.round(delay / 2 + (random * delay) / 2)
    case 'decorrelated': {
      const base = Math.min(policy.baseMs, policy.maxMs)
      const before = previousMs ?? (attempt > 1 ? plainDelay(policy, attempt - 1) : base)
      const high = Math.max(base, before * 3)
      return Math.round(Math.min(policy.maxMs, base + random * (high - base)))
    }
    default:
      return policy.jitter satisfies never
  }
}
