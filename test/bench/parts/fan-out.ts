import { round } from '../quantiles.ts'
import { type Cost, startMeter } from '../sample.ts'
import { checkJobs, type Expected } from '../weir/check-jobs.ts'
import { runJobs } from '../weir/jobs.ts'
import type { Weir } from '../weir/system.ts'

const itemsPerJob = 500
const batchSize = 10

export type FanOutSample = Cost & {
  readonly jobs: number
  readonly itemsPerJob: number
  readonly itemsPerSecond: number
}

/** split → (each) a → b → (gather) total: items a second that come through, all of them counted. */
export function createFanOut(weir: Weir): { measure(jobs: number): Promise<FanOutSample> } {
  const expected: Expected = new Map()
  const isWhole = (result: unknown): boolean => {
    const { items, right } = result as { items: number; right: number }
    return items === itemsPerJob && right === itemsPerJob
  }
  return {
    async measure(jobs) {
      const inputs = Array.from({ length: jobs }, () => ({ count: itemsPerJob }))
      const meter = startMeter({ ...weir.pids, bench: process.pid })
      const { ids, seconds } = await runJobs(weir, 'bench-fan-out', inputs, batchSize)
      const cost = meter.stop(seconds)
      for (const id of ids) expected.set(id, isWhole)
      await checkJobs(weir, 'bench-fan-out', expected, ids)
      return { ...cost, jobs, itemsPerJob, itemsPerSecond: round((jobs * itemsPerJob) / seconds) }
    },
  }
}
