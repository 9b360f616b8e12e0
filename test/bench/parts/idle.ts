import { setTimeout as sleep } from 'node:timers/promises'
import { type Cost, startMeter } from '../sample.ts'
import type { Weir } from '../weir/system.ts'

const settleMs = 10_000

/** CPU time of a system that has nothing to do. */
export async function measureIdle(weir: Weir, seconds: number): Promise<Cost> {
  await sleep(settleMs)
  const meter = startMeter(weir.pids)
  await sleep(seconds * 1_000)
  const cost = meter.stop()
  weir.assertUnbroken()
  return cost
}
