/** For a loop that waits for news, or for so long. One may listen at a time. */
export type Bell = {
  /** Wakes who listens. Where nobody does, it is remembered until somebody listens. */
  ring(): void
  /**
   * Waits for a ring, up to `forMs` milliseconds; at 0 it only tells. True where it rang since the
   * last time. Never rejects.
   */
  heard(forMs: number): Promise<boolean>
}

/** A bell that has not rung. */
export function createBell(): Bell {
  let hasRung = false
  let wake: (() => void) | undefined
  return {
    ring() {
      hasRung = true
      wake?.()
    },
    async heard(forMs) {
      if (!hasRung && forMs > 0) {
        await new Promise<void>((resolve) => {
          const timer = setTimeout(resolve, forMs)
          wake = () => {
            clearTimeout(timer)
            resolve()
          }
        })
        wake = undefined
      }
      const heard = hasRung
      hasRung = false
      return heard
    },
  }
}
