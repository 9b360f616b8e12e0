/** Time as tasks see it, so that tests can hold it. */
export type Clock = {
  /** Epoch milliseconds. */
  now(): number
  /** Calls `fn` once after `ms` milliseconds; returns what takes it back. */
  after(ms: number, fn: () => void): () => void
}

export const systemClock: Clock = {
  now: Date.now,
  after(ms, fn) {
    const timer = setTimeout(fn, ms)
    return () => clearTimeout(timer)
  },
}

/**
 * Waits for a promise at most `ms`; what comes later is dropped. Never rejects: a rejection is
 * `failed`.
 */
export async function settleWithin<Value>(
  clock: Clock,
  ms: number,
  promise: PromiseLike<Value>,
): Promise<
  | { readonly status: 'done'; readonly value: Value }
  | { readonly status: 'failed'; readonly error: unknown }
  | { readonly status: 'late' }
> {
  return new Promise((resolve) => {
    const stop = clock.after(ms, () => resolve({ status: 'late' }))
    promise.then(
      (value) => {
        stop()
        resolve({ status: 'done', value })
      },
      (error: unknown) => {
        stop()
        resolve({ status: 'failed', error })
      },
    )
  })
}
