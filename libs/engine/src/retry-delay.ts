import type { RetryPolicy } from '@weir/contracts'

/** Milliseconds until the attempt after `attempt` (from 1), by the policy. */
export function retryDelayMs(policy: RetryPolicy, attempt: number): number {
  const { baseMs, maxMs, backoff, jitter } = policy
  const factor =
    backoff === 'exponential' ? 2 ** Math.min(attempt - 1, 30) : backoff === 'linear' ? attempt : 1
  const full = Math.min(maxMs, baseMs * factor)
  if (jitter === 'none') return full
  if (jitter === 'equal') return full / 2 + Math.random() * (full / 2)
  return Math.random() * full
}
