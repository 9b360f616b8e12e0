import type { EncodedBytes } from '../internals.ts'
import type { OutRecord } from '../record.ts'
import { BATCH_OVERHEAD, encodeBatch } from './encode-batch.ts'
import { readInt64 } from './int64.ts'

export const PRODUCE = { apiKey: 0, apiVersion: 7, apiName: 'Produce' } as const

export type ProduceBatch = {
  readonly topic: string
  readonly partition: number
  readonly records: readonly OutRecord[]
  /** Sum of `sizeOfRecord`. */
  readonly bytes: number
}

export type ProduceAnswer = {
  readonly topic: string
  readonly partition: number
  readonly errorCode: number
  readonly baseOffset: number
}

const ACKS_ALL = -1

/** A Produce v7 request that waits for all in-sync replicas. */
export function encodeProduce(
  batches: readonly ProduceBatch[],
  timeoutMs: number,
  nowMs: number,
): EncodedBytes {
  let size = 2 + 2 + 4 + 4
  for (const { topic, bytes } of batches) {
    size += 2 + Buffer.byteLength(topic) + 4 + 4 + 4 + BATCH_OVERHEAD + bytes
  }
  const into = Buffer.allocUnsafe(size)
  into.writeInt16BE(-1, 0)
  into.writeInt16BE(ACKS_ALL, 2)
  into.writeInt32BE(timeoutMs, 4)
  let topics = 0
  let at = 12
  // Batches of one topic are grouped, as a topic may be named only once in a request.
  const done = new Set<ProduceBatch>()
  for (const first of batches) {
    if (done.has(first)) continue
    const length = into.write(first.topic, at + 2)
    into.writeInt16BE(length, at)
    const countAt = at + 2 + length
    at = countAt + 4
    let partitions = 0
    for (const batch of batches) {
      if (batch.topic !== first.topic) continue
      done.add(batch)
      into.writeInt32BE(batch.partition, at)
      const end = encodeBatch(into, at + 8, batch.records, nowMs)
      into.writeInt32BE(end - at - 8, at + 4)
      at = end
      partitions += 1
    }
    into.writeInt32BE(partitions, countAt)
    topics += 1
  }
  into.writeInt32BE(topics, 8)
  const buffer = into.subarray(0, at)
  return { buf: buffer, buffer }
}

export function decodeProduce(payload: Buffer): {
  clientSideThrottleTime: number
  answers: ProduceAnswer[]
} {
  const answers: ProduceAnswer[] = []
  let at = 4
  for (let topics = payload.readInt32BE(0); topics > 0; topics--) {
    const length = payload.readInt16BE(at)
    const topic = payload.toString('utf8', at + 2, at + 2 + length)
    at += 2 + length
    let partitions = payload.readInt32BE(at)
    at += 4
    for (; partitions > 0; partitions--) {
      answers.push({
        topic,
        partition: payload.readInt32BE(at),
        errorCode: payload.readInt16BE(at + 4),
        baseOffset: readInt64(payload, at + 6),
      })
      at += 30
    }
  }
  return { clientSideThrottleTime: payload.readInt32BE(at), answers }
}
