import { setTimeout as pause } from 'node:timers/promises'

const INTERVAL_MS = 50

/**
 * Asks again and again until the condition gives something true, and returns that. After
 * `deadlineMs` it throws with what was waited for, and with the last error of the condition.
 */
export async function until<Value>(
  what: string,
  condition: () => Value | Promise<Value>,
  deadlineMs = 20_000,
): Promise<NonNullable<Exclude<Value, false>>> {
  const startedAt = performance.now()
  for (;;) {
    let cause: unknown
    try {
      const value = await condition()
      if (value) return value as NonNullable<Exclude<Value, false>>
    } catch (error) {
      cause = error
    }
    if (performance.now() - startedAt > deadlineMs) {
      throw new Error(`after ${deadlineMs} ms still waiting for ${what}`, { cause })
    }
    await pause(INTERVAL_MS)
  }
}
