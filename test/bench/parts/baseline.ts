import { type Chain, startChain } from '../baseline/chain.ts'
import { type Quantiles, quantilesOf, round } from '../quantiles.ts'
import { type Cost, startMeter } from '../sample.ts'

const chunkFlood = 500

export type BaselineSample = Cost & {
  readonly items: number
  /** Records per second that the feeder was held to; null where it went as fast as it could. */
  readonly offeredPerSecond: number | null
  readonly chunk: number
  readonly perSecond: number
  readonly duplicates: number
}

export type BaselineOrder = {
  readonly brokers: string
  readonly kafkaPid: number | undefined
  readonly warmUp: number
  readonly items: number
  /** As fast as it goes when not given. */
  readonly paced?: { readonly perSecond: number; readonly chunk: number }
}

/** Throughput and cost of the raw client's three hops, in processes started for this sample. */
export async function measureBaseline(order: BaselineOrder): Promise<BaselineSample> {
  const { items, paced } = order
  return withChain(order, async (chain) => {
    const pids = { ...chain.pids, ...(order.kafkaPid && { kafka: order.kafkaPid }) }
    const meter = startMeter(pids)
    const startedAt = performance.now()
    const { drained } = await chain.run({ count: items, chunk: chunkFlood, ...paced })
    const seconds = (performance.now() - startedAt) / 1_000
    const cost = meter.stop(seconds)
    return {
      ...cost,
      items,
      offeredPerSecond: paced?.perSecond ?? null,
      chunk: paced?.chunk ?? chunkFlood,
      perSecond: round(items / seconds),
      duplicates: drained.duplicates,
    }
  })
}

export type LatencySample = Cost & {
  readonly offeredPerSecond: number
  /** From the time it was meant to be sent, in milliseconds. */
  readonly latencyMs: Quantiles
  /** How late the generator was. */
  readonly lateMs: Quantiles
}

/** Open-loop latency from feeder to sink, one send per item. */
export async function measureBaselineLatency(
  order: Omit<BaselineOrder, 'items' | 'paced'>,
  schedule: { readonly perSecond: number; readonly count: number },
): Promise<LatencySample> {
  return withChain(order, async (chain) => {
    const meter = startMeter({ ...chain.pids, ...(order.kafkaPid && { kafka: order.kafkaPid }) })
    const { fed, drained } = await chain.run({ ...schedule, chunk: 1 })
    return {
      ...meter.stop(),
      offeredPerSecond: schedule.perSecond,
      latencyMs: quantilesOf(drained.latencyMs),
      lateMs: quantilesOf(fed.lateMs),
    }
  })
}

async function withChain<Result>(
  { brokers, warmUp }: { readonly brokers: string; readonly warmUp: number },
  work: (chain: Chain) => Promise<Result>,
): Promise<Result> {
  const chain = await startChain(brokers)
  try {
    // Code is compiled and connections are open before anything counts.
    await chain.run({ count: warmUp, chunk: 100 })
    return await work(chain)
  } finally {
    await chain.stop()
  }
}

export const rawStages = ['stage1', 'stage2', 'stage3'] as const
