import { WeirError } from '@weir/contracts'
import { createBell } from '@weir/runtime'

const WAITERS_MAX = 20_000
/**
 * A lost hint costs a waiter this long, and as long as it has waited already, up to the maximum: in
 * an overload those who wait must not become the load.
 */
const POLL_MS = 1_000
const POLL_MAX_MS = 5_000

export type Waiters = {
  /**
   * Looks, and looks again when the job is said to have changed and now and then, until `look`
   * answers something, the time is over or the signal aborts: then undefined. The first look waits
   * for up to `firstLookMs` (default 0) for a change: for a job that cannot have changed yet.
   */
  until<T>(
    jobId: string,
    deadlineMs: number,
    signal: AbortSignal,
    look: () => Promise<T | undefined>,
    firstLookMs?: number,
  ): Promise<T | undefined>
  /** The job has changed, and perhaps ended. */
  wake(jobId: string): void
  size(): number
}

/** Requests that wait for jobs. Bounded: with too many of them the next is told to come back. */
export function createWaiters(now: () => number = () => performance.now()): Waiters {
  const waiting = new Map<string, Set<() => void>>()
  let count = 0

  function add(jobId: string, wake: () => void): () => void {
    const set = waiting.get(jobId) ?? new Set()
    waiting.set(jobId, set.add(wake))
    count++
    return () => {
      count--
      set.delete(wake)
      if (set.size === 0 && waiting.get(jobId) === set) waiting.delete(jobId)
    }
  }

  return {
    async until(jobId, deadlineMs, signal, look, firstLookMs = 0) {
      if (count >= WAITERS_MAX) {
        throw new WeirError('unavailable', 'Too many requests wait for jobs.', { retryAfterS: 1 })
      }
      const bell = createBell()
      // Listening begins before the first look: a change in between is not missed.
      const remove = add(jobId, bell.ring)
      signal.addEventListener('abort', bell.ring, { once: true })
      try {
        if (firstLookMs > 0) await bell.heard(Math.min(deadlineMs - now(), firstLookMs))
        for (let pollMs = POLL_MS; ; pollMs = Math.min(pollMs * 2, POLL_MAX_MS)) {
          const found = await look()
          const leftMs = deadlineMs - now()
          if (found !== undefined || leftMs <= 0 || signal.aborted) return found
          await bell.heard(Math.min(leftMs, pollMs))
        }
      } finally {
        remove()
        signal.removeEventListener('abort', bell.ring)
      }
    },
    wake(jobId) {
      for (const wake of waiting.get(jobId) ?? []) wake()
    },
    size: () => count,
  }
}
