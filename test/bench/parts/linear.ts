import { isRight, makeItem } from '../item.ts'
import { round } from '../quantiles.ts'
import { type Cost, startMeter } from '../sample.ts'
import { checkJobs, type Expected } from '../weir/check-jobs.ts'
import { runJobs } from '../weir/jobs.ts'
import type { Weir } from '../weir/system.ts'

const hops = 3
const batchSize = 100

export type LinearSample = Cost & {
  readonly jobs: number
  readonly submitSeconds: number
  readonly perSecond: number
}

export type Linear = {
  measure(jobs: number): Promise<LinearSample>
  /** Remembers a job that another part has submitted to this pipeline. */
  expect(id: string, n: number): void
  check(fresh: readonly string[]): Promise<void>
}

/** The three-step pipeline of one tenant, in batches of 100 over REST; every job is checked. */
export function createLinear(weir: Weir): Linear {
  const expected: Expected = new Map()
  const expect = (id: string, n: number): void => {
    expected.set(id, (result) => isRight(result, n, hops))
  }
  const check = (fresh: readonly string[]) => checkJobs(weir, 'bench-linear', expected, fresh)
  let rounds = 0
  return {
    async measure(jobs) {
      rounds += 1
      const inputs = Array.from({ length: jobs }, (_, n) => makeItem(n, rounds))
      const meter = startMeter({ ...weir.pids, bench: process.pid })
      const { ids, submitSeconds, seconds } = await runJobs(weir, 'bench-linear', inputs, batchSize)
      const cost = meter.stop(seconds)
      ids.forEach(expect)
      await check(ids)
      return {
        ...cost,
        jobs,
        submitSeconds: round(submitSeconds),
        perSecond: round(jobs / seconds),
      }
    },
    expect,
    check,
  }
}
