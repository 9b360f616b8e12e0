import type { Clock } from '@weir/sdk'

export type EngineClock = Clock & {
  /** Milliseconds of the monotonic clock, for ages. */
  monotonicMs(): number
}

const DRIFT_MS = 250
const LOOK_MS = 1_000

/**
 * Epoch milliseconds that advance with the monotonic clock, so that times of work and waiting do not
 * jump when the wall clock is set; looked up again once a second, and followed when they differ.
 */
export function createClock(): EngineClock {
  let base = Date.now() - performance.now()
  let lookedAt = performance.now()
  return {
    now() {
      const elapsed = performance.now()
      if (elapsed - lookedAt > LOOK_MS) {
        lookedAt = elapsed
        const actual = Date.now() - elapsed
        if (Math.abs(actual - base) > DRIFT_MS) base = actual
      }
      return base + elapsed
    },
    monotonicMs: () => performance.now(),
    after(ms, fn) {
      const timer = setTimeout(fn, ms)
      return () => clearTimeout(timer)
    },
  }
}
