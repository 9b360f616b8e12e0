import type { OutRecord } from '../record.ts'
import { crc32c } from './crc32c.ts'
import { writeInt64 } from './int64.ts'

const OVERHEAD = 61
const MAGIC = 2
/** Record fields beside key, value and headers at their longest. */
const RECORD_OVERHEAD_MAX = 5 + 1 + 10 + 5 + 5 + 5 + 5

/** An upper bound of what the record takes in a batch, for the producer's limits. */
export function sizeOfRecord(record: OutRecord): number {
  let size = RECORD_OVERHEAD_MAX + sizeOfBytes(record.key) + sizeOfBytes(record.value)
  const headers = record.headers
  if (headers !== undefined) {
    for (const name in headers) {
      size += 10 + Buffer.byteLength(name) + sizeOfBytes(headers[name] ?? null)
    }
  }
  return size
}

export const BATCH_OVERHEAD = OVERHEAD

/**
 * Writes `records` as one batch at `start` and returns where it ends. The caller has made sure of
 * room: `BATCH_OVERHEAD` and the sum of `sizeOfRecord`. Neither compressed nor idempotent.
 */
export function encodeBatch(
  into: Buffer,
  start: number,
  records: readonly OutRecord[],
  nowMs: number,
): number {
  const firstTimestamp = records[0]?.timestamp ?? nowMs
  let maxTimestamp = firstTimestamp
  at = start + OVERHEAD
  for (let index = 0; index < records.length; index++) {
    const record = records[index] as OutRecord
    const timestamp = record.timestamp ?? nowMs
    if (timestamp > maxTimestamp) maxTimestamp = timestamp
    writeRecord(into, record, index, timestamp - firstTimestamp)
  }
  const end = at
  writeInt64(into, 0, start)
  into.writeInt32BE(end - start - 12, start + 8)
  into.writeInt32BE(-1, start + 12)
  into[start + 16] = MAGIC
  into.writeInt16BE(0, start + 21)
  into.writeInt32BE(records.length - 1, start + 23)
  writeInt64(into, firstTimestamp, start + 27)
  writeInt64(into, maxTimestamp, start + 35)
  writeInt64(into, -1, start + 43)
  into.writeInt16BE(-1, start + 51)
  into.writeInt32BE(-1, start + 53)
  into.writeInt32BE(records.length, start + 57)
  into.writeUInt32BE(crc32c(into, start + 21, end), start + 17)
  return end
}

// One cursor for the synchronous encode, as in decode-fetch.ts.
let at = 0

function writeRecord(
  into: Buffer,
  record: OutRecord,
  offsetDelta: number,
  timestampDelta: number,
): void {
  const { key, value, headers } = record
  const keySize = sizeOfBytes(key)
  const valueSize = sizeOfBytes(value)
  let headersSize = 0
  let count = 0
  if (headers !== undefined) {
    for (const name in headers) {
      const header = headers[name] as string | Buffer
      const nameSize = Buffer.byteLength(name)
      const headerSize = sizeOfBytes(header)
      headersSize += sizeOfVarint(nameSize) + nameSize + sizeOfVarint(headerSize) + headerSize
      count += 1
    }
  }
  writeVarint(
    into,
    1 +
      sizeOfVarlong(timestampDelta) +
      sizeOfVarint(offsetDelta) +
      sizeOfVarint(key === null ? -1 : keySize) +
      keySize +
      sizeOfVarint(value === null ? -1 : valueSize) +
      valueSize +
      sizeOfVarint(count) +
      headersSize,
  )
  into[at++] = 0
  writeVarlong(into, timestampDelta)
  writeVarint(into, offsetDelta)
  writeBytes(into, key, keySize)
  writeBytes(into, value, valueSize)
  writeVarint(into, count)
  if (headers !== undefined) {
    for (const name in headers) {
      writeBytes(into, name, Buffer.byteLength(name))
      const header = headers[name] as string | Buffer
      writeBytes(into, header, sizeOfBytes(header))
    }
  }
}

function sizeOfBytes(bytes: Buffer | string | null): number {
  if (bytes === null) return 0
  return typeof bytes === 'string' ? Buffer.byteLength(bytes) : bytes.length
}

function writeBytes(into: Buffer, bytes: Buffer | string | null, size: number): void {
  if (bytes === null) {
    writeVarint(into, -1)
    return
  }
  writeVarint(into, size)
  if (typeof bytes === 'string') into.write(bytes, at)
  else into.set(bytes, at)
  at += size
}

function sizeOfVarint(value: number): number {
  const raw = ((value << 1) ^ (value >> 31)) >>> 0
  if (raw < 0x80) return 1
  if (raw < 0x4000) return 2
  if (raw < 0x20_0000) return 3
  return raw < 0x1000_0000 ? 4 : 5
}

function writeVarint(into: Buffer, value: number): void {
  let raw = ((value << 1) ^ (value >> 31)) >>> 0
  while (raw >= 0x80) {
    into[at++] = (raw & 0x7f) | 0x80
    raw >>>= 7
  }
  into[at++] = raw
}

function sizeOfVarlong(value: number): number {
  let raw = value < 0 ? -value * 2 - 1 : value * 2
  let size = 1
  while (raw >= 0x80) {
    raw = Math.floor(raw / 0x80)
    size += 1
  }
  return size
}

function writeVarlong(into: Buffer, value: number): void {
  let raw = value < 0 ? -value * 2 - 1 : value * 2
  while (raw >= 0x80) {
    into[at++] = (raw % 0x80) | 0x80
    raw = Math.floor(raw / 0x80)
  }
  into[at++] = raw
}
