import { setTimeout as sleep } from 'node:timers/promises'
import { monotonicMs } from './clock.ts'

/**
 * Calls `send` at fixed times, whether or not what was sent before has come back, and hands it the
 * time at which it was meant to be called. Resolves, with how late each call was, when all calls
 * have been made.
 */
export async function sendOnSchedule(
  schedule: { readonly perSecond: number; readonly count: number },
  send: (n: number, intendedAtMs: number) => void,
): Promise<number[]> {
  const lateMs: number[] = []
  const startAt = monotonicMs() + 20
  for (let n = 0; n < schedule.count; n += 1) {
    const intended = startAt + (n * 1_000) / schedule.perSecond
    const ahead = intended - monotonicMs()
    // Timers are good to a millisecond; what is due sooner is sent at once.
    if (ahead > 0.5) await sleep(ahead)
    lateMs.push(Math.max(0, monotonicMs() - intended))
    send(n, intended)
  }
  return lateMs
}
