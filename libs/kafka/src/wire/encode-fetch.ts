import type { EncodedBytes } from '../internals.ts'
import { writeInt64 } from './int64.ts'

export type FetchTarget = {
  readonly topic: string
  readonly partition: number
  readonly offset: number
}

export const FETCH = { apiKey: 1, apiVersion: 11, apiName: 'Fetch' } as const

/** A Fetch v11 request outside any session; targets of one topic must stand together. */
export function encodeFetch(
  targets: readonly FetchTarget[],
  limits: { maxWaitMs: number; minBytes: number; maxBytes: number; maxBytesPerPartition: number },
): EncodedBytes {
  let size = 4 + 4 + 4 + 4 + 1 + 4 + 4 + 4 + 4 + 2
  for (const { topic } of targets) size += 2 + Buffer.byteLength(topic) + 4 + 28
  const bytes = Buffer.allocUnsafe(size)
  bytes.writeInt32BE(-1, 0)
  bytes.writeInt32BE(limits.maxWaitMs, 4)
  bytes.writeInt32BE(limits.minBytes, 8)
  bytes.writeInt32BE(limits.maxBytes, 12)
  bytes.writeInt8(0, 16)
  bytes.writeInt32BE(0, 17)
  bytes.writeInt32BE(-1, 21)
  let at = 29
  let topics = 0
  for (let index = 0; index < targets.length; ) {
    const { topic } = targets[index] as FetchTarget
    const length = bytes.write(topic, at + 2)
    bytes.writeInt16BE(length, at)
    const countAt = at + 2 + length
    at = countAt + 4
    let partitions = 0
    for (; index < targets.length && targets[index]?.topic === topic; index++) {
      const target = targets[index] as FetchTarget
      bytes.writeInt32BE(target.partition, at)
      bytes.writeInt32BE(-1, at + 4)
      writeInt64(bytes, target.offset, at + 8)
      writeInt64(bytes, -1, at + 16)
      bytes.writeInt32BE(limits.maxBytesPerPartition, at + 24)
      at += 28
      partitions += 1
    }
    bytes.writeInt32BE(partitions, countAt)
    topics += 1
  }
  bytes.writeInt32BE(topics, 25)
  bytes.writeInt32BE(0, at)
  bytes.writeInt16BE(0, at + 4)
  const buffer = bytes.subarray(0, at + 6)
  return { buf: buffer, buffer }
}
