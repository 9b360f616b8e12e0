import type { EncodedBytes } from '../internals.ts'
import type { TopicPartition } from '../record.ts'
import { readInt64 } from './int64.ts'

/** The first version that takes many groups at once; brokers have it since 3.0. */
export const OFFSET_FETCH = { apiKey: 9, apiVersion: 8, apiName: 'OffsetFetch' } as const

export type GroupPartitions = {
  readonly groupId: string
  readonly partitions: readonly TopicPartition[]
}

export type GroupAnswer = {
  readonly groupId: string
  readonly errorCode: number
  readonly partitions: readonly (TopicPartition & {
    readonly errorCode: number
    /** -1 where nothing is committed. */
    readonly offset: number
    readonly metadata: string | null
  })[]
}

export type OffsetFetchAnswer = {
  readonly clientSideThrottleTime: number
  readonly groups: readonly GroupAnswer[]
}

const NO_TAGS = 0

/**
 * The client writes the header of the versions before this one, which ends with its name; the byte
 * for the header's tags comes first here.
 */
export function encodeOffsetFetch(groups: readonly GroupPartitions[]): EncodedBytes {
  const bytes: number[] = [NO_TAGS]
  writeLength(bytes, groups.length + 1)
  for (const { groupId, partitions } of groups) {
    writeString(bytes, groupId)
    const byTopic = Map.groupBy(partitions, ({ topic }) => topic)
    writeLength(bytes, byTopic.size + 1)
    for (const [topic, list] of byTopic) {
      writeString(bytes, topic)
      writeLength(bytes, list.length + 1)
      for (const { partition } of list) {
        bytes.push(partition >>> 24, (partition >>> 16) & 255, (partition >>> 8) & 255)
        bytes.push(partition & 255)
      }
      bytes.push(NO_TAGS)
    }
    bytes.push(NO_TAGS)
  }
  // No transactions anywhere: nothing has to be stable first.
  bytes.push(0, NO_TAGS)
  const buffer = Buffer.from(bytes)
  return { buf: buffer, buffer }
}

export function decodeOffsetFetch(payload: Buffer): OffsetFetchAnswer {
  let at = 0

  const readLength = (): number => {
    let value = 0
    for (let shift = 0; ; shift += 7) {
      const byte = payload[at++] as number
      value |= (byte & 0x7f) << shift
      if (byte < 0x80) return value
    }
  }
  const readText = (): string | null => {
    const length = readLength() - 1
    if (length < 0) return null
    at += length
    return payload.toString('utf8', at - length, at)
  }
  const readInt16 = (): number => {
    at += 2
    return payload.readInt16BE(at - 2)
  }
  const readInt32 = (): number => {
    at += 4
    return payload.readInt32BE(at - 4)
  }
  const skipTags = (): void => {
    for (let tags = readLength(); tags > 0; tags--) {
      readLength()
      const size = readLength()
      at += size
    }
  }
  const readAll = <T>(read: () => T): T[] => {
    const all: T[] = []
    for (let count = readLength() - 1; count > 0; count--) all.push(read())
    return all
  }

  const readPartition = (topic: string) => {
    const partition = readInt32()
    const offset = readInt64(payload, at)
    // The leader's epoch stands between.
    at += 12
    const metadata = readText()
    const errorCode = readInt16()
    skipTags()
    return { topic, partition, offset, metadata, errorCode }
  }
  const readTopic = () => {
    const topic = readText() ?? ''
    const partitions = readAll(() => readPartition(topic))
    skipTags()
    return partitions
  }
  const readGroup = (): GroupAnswer => {
    const groupId = readText() ?? ''
    const partitions = readAll(readTopic).flat()
    const errorCode = readInt16()
    skipTags()
    return { groupId, errorCode, partitions }
  }

  skipTags()
  const clientSideThrottleTime = readInt32()
  return { clientSideThrottleTime, groups: readAll(readGroup) }
}

function writeLength(bytes: number[], value: number): void {
  for (let rest = value; ; rest >>>= 7) {
    if (rest < 0x80) {
      bytes.push(rest)
      return
    }
    bytes.push((rest & 0x7f) | 0x80)
  }
}

function writeString(bytes: number[], text: string): void {
  const encoded = Buffer.from(text)
  writeLength(bytes, encoded.length + 1)
  bytes.push(...encoded)
}
