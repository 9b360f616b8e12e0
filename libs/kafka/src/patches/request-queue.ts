import { RequestQueue } from '../internals.ts'

type Queue = {
  pending: unknown[]
  throttledUntil: number
  inflight: Map<number, { sentAt: number; requestTimeout: number; timeoutRequest(): void }>
  enforceRequestTimeout: boolean
  requestTimeout: number
  requestTimeoutIntervalId?: NodeJS.Timeout
  isConnected(): boolean
  destroy(): void
}

const CHECK_MS = 1000
const PATCHED = Symbol.for('weir.kafka.request-queue')

/**
 * Keeps idle connections idle. As shipped, the queue re-arms a timer with a negative delay for ever
 * (a 1 ms loop, 3 % of a core, and a warning on Node 24), and looks for timed-out requests ten times
 * a second on each connection, where once a second is enough for time limits of seconds.
 */
export function patchRequestQueue(): void {
  const queue = RequestQueue.prototype as Record<string | symbol, unknown>
  if (queue[PATCHED] === true) return
  queue[PATCHED] = true

  const schedule = queue.scheduleCheckPendingRequests as (this: Queue) => void
  queue.scheduleCheckPendingRequests = function (this: Queue) {
    if (this.pending.length === 0 && this.throttledUntil <= Date.now()) return
    schedule.call(this)
  }

  queue.scheduleRequestTimeoutCheck = function (this: Queue) {
    if (!this.enforceRequestTimeout) return
    this.destroy()
    this.requestTimeoutIntervalId = setInterval(
      () => {
        const now = Date.now()
        for (const request of this.inflight.values()) {
          if (now - request.sentAt > request.requestTimeout) request.timeoutRequest()
        }
        if (!this.isConnected()) this.destroy()
      },
      Math.min(this.requestTimeout, CHECK_MS),
    )
  }
}
