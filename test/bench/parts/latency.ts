import { monotonicMs } from '../clock.ts'
import { isRight, makeItem } from '../item.ts'
import { sendOnSchedule } from '../open-loop.ts'
import { quantilesOf } from '../quantiles.ts'
import { startMeter } from '../sample.ts'
import type { Weir } from '../weir/system.ts'
import type { LatencySample } from './baseline.ts'
import type { Linear } from './linear.ts'

const path = '/v1/pipelines/bench-linear/jobs?wait=30000'
const hops = 3

type Job = { readonly id: string; readonly status: string; readonly result: unknown }

/** One job per request at fixed times; each answer is awaited by `?wait=` and is the job's result. */
export async function measureWeirLatency(
  weir: Weir,
  linear: Linear,
  schedule: { readonly perSecond: number; readonly count: number },
): Promise<LatencySample> {
  const latencyMs: number[] = []
  const ids: string[] = []
  const send = async (n: number, intendedAtMs: number): Promise<void> => {
    const { status, body } = await weir.rest.send('POST', path, { input: makeItem(n, 0) })
    latencyMs.push(monotonicMs() - intendedAtMs)
    const job = body as Job
    if (status !== 200 || job.status !== 'completed' || !isRight(job.result, n, hops))
      throw new Error(`latency: job ${n} came back as ${status} ${JSON.stringify(body)}`)
    ids.push(job.id)
    linear.expect(job.id, n)
  }
  const meter = startMeter({ ...weir.pids, bench: process.pid })
  const sends: Promise<unknown>[] = []
  const failures: unknown[] = []
  const lateMs = await sendOnSchedule(schedule, (n, at) =>
    sends.push(send(n, at).catch((error: unknown) => failures.push(error))),
  )
  await Promise.all(sends)
  if (failures.length > 0) throw failures[0]
  const cost = meter.stop()
  weir.assertUnbroken()
  await linear.check(ids)
  return {
    ...cost,
    offeredPerSecond: schedule.perSecond,
    latencyMs: quantilesOf(latencyMs),
    lateMs: quantilesOf(lateMs),
  }
}
