const LINGER_MS = 5
const WINDOW_MS = 200
const STREAM_RECORDS_PER_MS = 0.3
const SMALL_ANSWER_RECORDS = 200

/**
 * How long to wait before asking for more. Each answer costs broker and client as much as some
 * hundred records, so in a stream of small answers the next request lingers; a record that comes
 * alone never waits, and after a large answer there is enough to do. The stream is told by records
 * in time, which lingering does not change: by answers, it would switch itself off.
 */
export type Pace = {
  /** Milliseconds to wait after an answer of so many records. */
  lingerAfter(records: number, nowMs: number): number
}

export function createPace(): Pace {
  let windowAtMs = Number.NEGATIVE_INFINITY
  let count = 0
  let isStream = false

  return {
    lingerAfter(records, nowMs) {
      const elapsedMs = nowMs - windowAtMs
      if (elapsedMs >= WINDOW_MS) {
        // After a pause nothing is known: the stream has to show itself anew.
        isStream = elapsedMs < 2 * WINDOW_MS && count / elapsedMs >= STREAM_RECORDS_PER_MS
        windowAtMs = nowMs
        count = 0
      }
      count += records
      if (count >= STREAM_RECORDS_PER_MS * WINDOW_MS) isStream = true
      return isStream && records > 0 && records < SMALL_ANSWER_RECORDS ? LINGER_MS : 0
    },
  }
}
