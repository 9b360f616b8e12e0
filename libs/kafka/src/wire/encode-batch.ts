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
      size += 5 + encodeName(name).length + sizeOfBytes(headers[name] ?? null)
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

/**
 * One pass: a length is written after what it counts, into the room that it most likely takes, and
 * what follows is moved where that was wrong. To measure every string first cost more than to write it.
 */
function writeRecord(
  into: Buffer,
  record: OutRecord,
  offsetDelta: number,
  timestampDelta: number,
): void {
  const { key, value, headers } = record
  const start = at
  at += LENGTH_BYTES_LIKELY
  into[at++] = 0
  writeVarlong(into, timestampDelta)
  writeVarint(into, offsetDelta)
  writeBytes(into, key)
  writeBytes(into, value)
  const countAt = at
  at += 1
  let count = 0
  if (headers !== undefined) {
    for (const name in headers) {
      const bytes = encodeName(name)
      for (let index = 0; index < bytes.length; index++) into[at++] = bytes[index] as number
      writeBytes(into, headers[name] as string | Buffer)
      count += 1
    }
  }
  writeLength(into, countAt, 1, count)
  writeLength(into, start, LENGTH_BYTES_LIKELY, at - start - LENGTH_BYTES_LIKELY)
}

/** Of records from 64 bytes to 8 KiB. */
const LENGTH_BYTES_LIKELY = 2

/** Writes a length at `where`, before what is written already and ends at the cursor. */
function writeLength(into: Buffer, where: number, reserved: number, length: number): void {
  const needed = sizeOfVarint(length)
  if (needed !== reserved) into.copyWithin(where + needed, where + reserved, at)
  const end = at + needed - reserved
  at = where
  writeVarint(into, length)
  at = end
}

/** Header names with their length before them; there are few, and they repeat for ever. Bounded. */
const names = new Map<string, Uint8Array>()
const NAMES_MAX = 256

function encodeName(name: string): Uint8Array {
  const known = names.get(name)
  if (known !== undefined) return known
  const length = Buffer.byteLength(name)
  const bytes = Buffer.alloc(sizeOfVarint(length) + length)
  const before = at
  at = 0
  writeVarint(bytes, length)
  bytes.write(name, at)
  at = before
  if (names.size < NAMES_MAX) names.set(name, bytes)
  return bytes
}

function sizeOfBytes(bytes: Buffer | string | null): number {
  if (bytes === null) return 0
  return typeof bytes === 'string' ? Buffer.byteLength(bytes) : bytes.length
}

function writeBytes(into: Buffer, bytes: Buffer | string | null): void {
  if (bytes === null) {
    writeVarint(into, -1)
    return
  }
  if (typeof bytes !== 'string') {
    writeVarint(into, bytes.length)
    into.set(bytes, at)
    at += bytes.length
    return
  }
  // Most text is ASCII: then it takes as many bytes as it has characters.
  const start = at
  const reserved = sizeOfVarint(bytes.length)
  const written = into.write(bytes, start + reserved)
  at = start + reserved + written
  writeLength(into, start, reserved, written)
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

function writeVarlong(into: Buffer, value: number): void {
  let raw = value < 0 ? -value * 2 - 1 : value * 2
  while (raw >= 0x80) {
    into[at++] = (raw % 0x80) | 0x80
    raw = Math.floor(raw / 0x80)
  }
  into[at++] = raw
}
