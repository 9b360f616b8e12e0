import { defaults } from '@weir/contracts'
import { type Clock, settleWithin } from './clock.ts'
import type { Cleanup } from './context.ts'

export type CleanupReport = {
  readonly status: 'done' | 'failed' | 'late'
  readonly error?: unknown
}

const CLEANUPS_MAX = 100
/** All cleanups of a task are waited for so many times as long as a single one. */
const TOTAL_FACTOR = 3

/**
 * The cleanups of one task. Each runs once, the last registered first; one that fails or does not
 * return does not keep the others from running.
 */
export type Cleanups = {
  /** Registers; runs at once where the task has already been cleaned up. */
  add(cleanup: Cleanup): void
  isEmpty(): boolean
  /** Runs all; later calls wait for the first. Reports in the order of running. */
  run(): Promise<readonly CleanupReport[]>
}

const NOTHING: Promise<readonly CleanupReport[]> = Promise.resolve([])

/** `deadlineMs`: how long one cleanup is waited for. */
export function createCleanups(clock: Clock, deadlineMs: number = defaults.cleanupMs): Cleanups {
  const waiting: Cleanup[] = []
  let running: Promise<readonly CleanupReport[]> | undefined

  async function runAll(): Promise<readonly CleanupReport[]> {
    const endsAt = clock.now() + deadlineMs * TOTAL_FACTOR
    const reports: CleanupReport[] = []
    // Taken one by one: a cleanup may register another one.
    for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
      const leftMs = Math.max(0, Math.min(deadlineMs, endsAt - clock.now()))
      reports.push(await runOne(clock, leftMs, next))
    }
    return reports
  }

  return {
    add(cleanup) {
      if (typeof cleanup !== 'function') throw new TypeError('onCleanup takes a function')
      if (waiting.length >= CLEANUPS_MAX) {
        throw new Error(`a task has at most ${CLEANUPS_MAX} cleanups`)
      }
      waiting.push(cleanup)
      // A detached handler took something after its task was over: it is given back at once.
      if (running !== undefined) running = running.then(runAll)
    },
    isEmpty: () => waiting.length === 0,
    run() {
      running ??= waiting.length === 0 ? NOTHING : runAll()
      return running
    },
  }
}

async function runOne(clock: Clock, leftMs: number, cleanup: Cleanup): Promise<CleanupReport> {
  try {
    const settled = await settleWithin(clock, leftMs, Promise.resolve(cleanup()))
    if (settled.status === 'failed') return { status: 'failed', error: settled.error }
    return { status: settled.status }
  } catch (error) {
    return { status: 'failed', error }
  }
}
