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

const NOTHING: Promise<readonly CleanupReport[]> = Promise.resolve([])

/**
 * The cleanups of one task. Each runs once, the last registered first; one that fails or does not
 * return does not keep the others from running.
 */
export class Cleanups {
  readonly #clock: Clock
  readonly #deadlineMs: number
  #waiting: Cleanup[] | undefined
  #running: Promise<readonly CleanupReport[]> | undefined

  /** `deadlineMs`: how long one cleanup is waited for. */
  constructor(clock: Clock, deadlineMs: number = defaults.cleanupMs) {
    this.#clock = clock
    this.#deadlineMs = deadlineMs
  }

  get isEmpty(): boolean {
    return this.#waiting === undefined || this.#waiting.length === 0
  }

  /** Registers; runs at once where the task has already been cleaned up. */
  add(cleanup: Cleanup): void {
    if (typeof cleanup !== 'function') throw new TypeError('onCleanup takes a function')
    this.#waiting ??= []
    if (this.#waiting.length >= CLEANUPS_MAX) {
      throw new Error(`a task has at most ${CLEANUPS_MAX} cleanups`)
    }
    this.#waiting.push(cleanup)
    // A detached handler took something after its task was over: it is given back at once.
    if (this.#running !== undefined) this.#running = this.#running.then(() => this.#runAll())
  }

  /** Runs all; later calls wait for the first. Reports in the order of running. */
  run(): Promise<readonly CleanupReport[]> {
    this.#running ??= this.isEmpty ? NOTHING : this.#runAll()
    return this.#running
  }

  async #runAll(): Promise<readonly CleanupReport[]> {
    const endsAt = this.#clock.now() + this.#deadlineMs * TOTAL_FACTOR
    const waiting = this.#waiting ?? []
    const reports: CleanupReport[] = []
    // Taken one by one: a cleanup may register another one.
    for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
      const leftMs = Math.max(0, Math.min(this.#deadlineMs, endsAt - this.#clock.now()))
      reports.push(await runOne(this.#clock, leftMs, next))
    }
    return reports
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
