import { gunzipSync, zstdDecompressSync } from 'node:zlib'
import type { KafkaRecord } from '../record.ts'
import { readInt64 } from './int64.ts'

/** What one partition answered to a fetch. */
export type FetchedPartition = {
  readonly topic: string
  readonly partition: number
  /** 0 or the protocol's error code. */
  readonly errorCode: number
  readonly highWatermark: number
  readonly logStartOffset: number
  /** In offset order, from the offset that was asked for. */
  readonly records: KafkaRecord[]
  /**
   * Where to go on: behind the last whole batch, so that gaps of compaction, empty batches and
   * control records are stepped over. The offset asked for when nothing came.
   */
  readonly nextOffset: number
}

export type FetchResponse = {
  /** Milliseconds; under this name the client holds the connection's next requests back. */
  readonly clientSideThrottleTime: number
  readonly errorCode: number
  readonly partitions: FetchedPartition[]
}

const BATCH_OVERHEAD = 61
const MAGIC = 2
const CODEC_MASK = 0x07
const LOG_APPEND_TIME_FLAG = 0x08
const CONTROL_FLAG = 0x20
/** A small compressed batch must not be able to fill the memory. */
const INFLATED_MAX_BYTES = 64 * 1024 * 1024

// One cursor for the whole synchronous decode: an object per field or record would be most of the
// cost. Decoding never yields, so two decodes cannot meet here.
let at = 0

/**
 * Decodes a Fetch v11 answer into records at once. `fromOffset` tells the offset that was asked for
 * of a partition; earlier records of its first batch are left out. Aborted transactions are not
 * filtered: no topic of Weir is written in transactions. Batches are trusted to be whole, as the
 * broker checked them; a batch that the response's size limit cut off is left for the next fetch.
 */
export function decodeFetch(
  payload: Buffer,
  fromOffset: (topic: string, partition: number) => number,
): FetchResponse {
  const clientSideThrottleTime = payload.readInt32BE(0)
  const errorCode = payload.readInt16BE(4)
  at = 10
  const partitions: FetchedPartition[] = []
  const topicCount = readInt32(payload)
  for (let t = 0; t < topicCount; t++) {
    const topic = readString(payload)
    const partitionCount = readInt32(payload)
    for (let p = 0; p < partitionCount; p++) {
      partitions.push(decodePartition(payload, topic, fromOffset))
    }
  }
  return { clientSideThrottleTime, errorCode, partitions }
}

function decodePartition(
  payload: Buffer,
  topic: string,
  fromOffset: (topic: string, partition: number) => number,
): FetchedPartition {
  const partition = readInt32(payload)
  const errorCode = payload.readInt16BE(at)
  const highWatermark = readInt64(payload, at + 2)
  const logStartOffset = readInt64(payload, at + 18)
  at += 26
  const abortedCount = readInt32(payload)
  if (abortedCount > 0) at += abortedCount * 16
  at += 4
  const size = Math.max(0, readInt32(payload))
  const end = at + size
  const records: KafkaRecord[] = []
  const asked = fromOffset(topic, partition)
  let nextOffset = asked
  while (at + BATCH_OVERHEAD <= end) {
    const batchEnd = at + 12 + payload.readInt32BE(at + 8)
    if (batchEnd > end) break
    const firstOffset = readInt64(payload, at)
    const lastOffset = firstOffset + payload.readInt32BE(at + 23)
    if (lastOffset >= asked) decodeBatch(payload, topic, partition, asked, batchEnd, records)
    nextOffset = Math.max(nextOffset, lastOffset + 1)
    at = batchEnd
  }
  at = end
  return { topic, partition, errorCode, highWatermark, logStartOffset, records, nextOffset }
}

function decodeBatch(
  payload: Buffer,
  topic: string,
  partition: number,
  asked: number,
  batchEnd: number,
  into: KafkaRecord[],
): void {
  const magic = payload[at + 16]
  if (magic !== MAGIC) throw new Error(`${topic}/${partition}: record format ${magic} is unknown`)
  const firstOffset = readInt64(payload, at)
  const attributes = payload.readInt16BE(at + 21)
  if ((attributes & CONTROL_FLAG) !== 0) return
  const firstTimestamp = readInt64(payload, at + 27)
  const appendTime =
    (attributes & LOG_APPEND_TIME_FLAG) !== 0 ? readInt64(payload, at + 35) : undefined
  const count = payload.readInt32BE(at + 57)
  at += BATCH_OVERHEAD
  const codec = attributes & CODEC_MASK
  let bytes = payload
  if (codec !== 0) {
    bytes = inflate(codec, payload.subarray(at, batchEnd), topic, partition)
    at = 0
  }
  for (let index = 0; index < count; index++) {
    const length = readVarint(bytes)
    const recordEnd = at + length
    at += 1
    const timestampDelta = readVarlong(bytes)
    const offset = firstOffset + readVarint(bytes)
    if (offset < asked) {
      at = recordEnd
      continue
    }
    const key = readBytes(bytes)
    const value = readBytes(bytes)
    const headers = readHeaders(bytes)
    at = recordEnd
    into.push({
      topic,
      partition,
      offset,
      timestamp: appendTime ?? firstTimestamp + timestampDelta,
      key,
      value,
      headers,
    })
  }
}

function inflate(codec: number, bytes: Buffer, topic: string, partition: number): Buffer {
  const options = { maxOutputLength: INFLATED_MAX_BYTES }
  if (codec === 1) return gunzipSync(bytes, options)
  if (codec === 4) return zstdDecompressSync(bytes, options)
  throw new Error(
    `${topic}/${partition}: compression ${codec} is not supported (gzip and zstd are)`,
  )
}

function readHeaders(bytes: Buffer): Record<string, string> {
  const count = readVarint(bytes)
  const headers: Record<string, string> = {}
  for (let index = 0; index < count; index++) {
    const keyLength = readVarint(bytes)
    const key = readName(bytes, at, at + keyLength)
    at += keyLength
    const valueLength = readVarint(bytes)
    if (valueLength < 0) continue
    if (!Object.hasOwn(headers, key)) headers[key] = bytes.toString('utf8', at, at + valueLength)
    at += valueLength
  }
  return headers
}

/** Header names repeat for ever: the few there are become one string each. Bounded. */
const names: { bytes: Buffer; name: string }[][] = Array.from({ length: 64 }, () => [])
const NAMES_PER_SLOT = 4

function readName(bytes: Buffer, from: number, to: number): string {
  const length = to - from
  const slot = names[
    ((bytes[to - 1] ?? 0) * 7 + (bytes[from] ?? 0) + length) & 63
  ] as (typeof names)[number]
  candidates: for (const candidate of slot) {
    if (candidate.bytes.length !== length) continue
    for (let index = 0; index < length; index++) {
      if (candidate.bytes[index] !== bytes[from + index]) continue candidates
    }
    return candidate.name
  }
  const name = bytes.toString('utf8', from, to)
  if (slot.length < NAMES_PER_SLOT && length <= 64) {
    slot.push({ bytes: Buffer.from(bytes.subarray(from, to)), name })
  }
  return name
}

function readInt32(bytes: Buffer): number {
  at += 4
  return bytes.readInt32BE(at - 4)
}

function readString(bytes: Buffer): string {
  const length = bytes.readInt16BE(at)
  at += 2 + length
  return bytes.toString('utf8', at - length, at)
}

function readBytes(bytes: Buffer): Buffer | null {
  const length = readVarint(bytes)
  if (length < 0) return null
  at += length
  return bytes.subarray(at - length, at)
}

function readVarint(bytes: Buffer): number {
  let byte = bytes[at++] as number
  let raw = byte & 0x7f
  let shift = 7
  while (byte >= 0x80) {
    byte = bytes[at++] as number
    raw |= (byte & 0x7f) << shift
    shift += 7
  }
  return (raw >>> 1) ^ -(raw & 1)
}

/** Beyond 32 bits in doubles: exact for every time that fits the calendar. */
function readVarlong(bytes: Buffer): number {
  let byte = bytes[at++] as number
  let raw = byte & 0x7f
  let factor = 128
  while (byte >= 0x80) {
    byte = bytes[at++] as number
    raw += (byte & 0x7f) * factor
    factor *= 128
  }
  return raw % 2 === 0 ? raw / 2 : -(raw + 1) / 2
}
