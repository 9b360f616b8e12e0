import { type CpuReading, cpuBetween, readCpu } from './cpu.ts'
import { type Load, readBusyMs, readLoad } from './machine.ts'
import { round } from './quantiles.ts'

/** What a stretch of work has cost. */
export type Cost = {
  readonly seconds: number
  /** CPU milliseconds by process. */
  readonly cpuMs: CpuReading
  /** Cores that processes used which are none of ours: what spoils a sample. */
  readonly foreignCores: number
  readonly before: Load
  readonly after: Load
}

export type Meter = {
  /** Ends the stretch; `seconds` where its end was found later than it was. */
  stop(seconds?: number): Cost
}

export function startMeter(pids: Readonly<Record<string, number>>): Meter {
  const before = readLoad()
  const busyBefore = readBusyMs()
  const cpuBefore = readCpu(pids)
  const startedAt = performance.now()
  return {
    stop(seconds) {
      const elapsedMs = performance.now() - startedAt
      const cpuMs = cpuBetween(cpuBefore, readCpu(pids))
      const oursMs = Object.values(cpuMs).reduce((sum, ms) => sum + ms, 0)
      const foreignMs = Math.max(0, readBusyMs() - busyBefore - oursMs)
      return {
        seconds: round(seconds ?? elapsedMs / 1_000),
        cpuMs,
        foreignCores: round(foreignMs / elapsedMs),
        before,
        after: readLoad(),
      }
    },
  }
}
