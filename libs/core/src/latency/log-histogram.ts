import type { LatencyRecord } from '@weir/contracts'

/*
 * Durations in buckets whose borders grow by 4 %: a quantile read from them is within 2 % of the
 * true one, whatever the distribution, and histograms of several processes add up. What was counted
 * is exact, and so are sum, least and greatest.
 */

/** Half of a bucket's relative width. */
const ERROR = 0.02
const GROWTH = (1 + ERROR) / (1 - ERROR)
const LOG_GROWTH = Math.log(GROWTH)
/** In the first bucket is everything below: the times are rounded to this. */
const LEAST_MS = 0.01
/** Ends beyond a day. */
const BUCKETS = Math.ceil(Math.log(100_000_000 / LEAST_MS) / LOG_GROWTH)

export type LogHistogram = {
  add(ms: number): void
  toRecord(): LatencyRecord
}

export const EMPTY_LATENCY: LatencyRecord = { count: 0, sumMs: 0, minMs: 0, maxMs: 0, buckets: [] }

export function createLogHistogram(): LogHistogram {
  const counts = new Uint32Array(BUCKETS)
  let count = 0
  let sumMs = 0
  let minMs = Number.POSITIVE_INFINITY
  let maxMs = 0
  return {
    add(ms) {
      const bucket = ms <= LEAST_MS ? 0 : Math.ceil(Math.log(ms / LEAST_MS) / LOG_GROWTH)
      const index = bucket < BUCKETS ? bucket : BUCKETS - 1
      counts[index] = (counts[index] as number) + 1
      count += 1
      sumMs += ms
      if (ms < minMs) minMs = ms
      if (ms > maxMs) maxMs = ms
    },
    toRecord() {
      if (count === 0) return EMPTY_LATENCY
      return { count, sumMs: rounded(sumMs), minMs, maxMs, buckets: packBuckets(counts) }
    },
  }
}

/** Only the buckets that hold something: how many further each is, and its count. */
function packBuckets(counts: ArrayLike<number>): number[] {
  const packed: number[] = []
  let last = 0
  for (let index = 0; index < counts.length; index++) {
    const held = counts[index] as number
    if (held === 0) continue
    packed.push(index - last, held)
    last = index
  }
  return packed
}

/** As if all had been counted in one process. */
export function mergeLatencies(records: readonly LatencyRecord[]): LatencyRecord {
  const some = records.filter(({ count }) => count > 0)
  if (some.length === 0) return EMPTY_LATENCY
  const counts = new Array<number>(BUCKETS).fill(0)
  for (const { buckets } of some) {
    for (const [index, held] of unpackBuckets(buckets)) {
      if (index < BUCKETS) counts[index] = (counts[index] as number) + held
    }
  }
  return {
    count: some.reduce((sum, { count }) => sum + count, 0),
    sumMs: rounded(some.reduce((sum, one) => sum + one.sumMs, 0)),
    minMs: Math.min(...some.map(({ minMs }) => minMs)),
    maxMs: Math.max(...some.map(({ maxMs }) => maxMs)),
    buckets: packBuckets(counts),
  }
}

/** The value that a share of all is not above; undefined where nothing was counted. */
export function quantileOf(record: LatencyRecord, share: number): number | undefined {
  if (record.count === 0) return undefined
  const rank = Math.max(1, Math.ceil(share * record.count))
  if (rank === record.count) return record.maxMs
  let seen = 0
  for (const [index, held] of unpackBuckets(record.buckets)) {
    seen += held
    if (seen < rank) continue
    const middle = index === 0 ? LEAST_MS : LEAST_MS * GROWTH ** index * (1 - ERROR)
    return rounded(Math.min(Math.max(middle, record.minMs), record.maxMs))
  }
  return record.maxMs
}

function* unpackBuckets(packed: readonly number[]): Generator<[index: number, held: number]> {
  let index = 0
  for (let at = 0; at + 1 < packed.length; at += 2) {
    index += packed[at] as number
    yield [index, packed[at + 1] as number]
  }
}

const rounded = (ms: number) => Math.round(ms * 1_000) / 1_000
