import { hash, randomBytes } from 'node:crypto'

declare const brand: unique symbol
type Branded<Name extends string> = string & { readonly [brand]: Name }

export type JobId = Branded<'JobId'>
/** 128 bits as 22 characters of base64url; the same for every attempt of the same message. */
export type MessageId = Branded<'MessageId'>

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[1-8][0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/

/** True for a lower-case RFC 9562 UUID of any version. */
export function isUuid(text: unknown): text is string {
  return typeof text === 'string' && UUID.test(text)
}

let pool = randomBytes(4096)
let used = 0

function entropy(bytes: number): Buffer {
  if (used + bytes > pool.length) {
    pool = randomBytes(4096)
    used = 0
  }
  used += bytes
  return pool.subarray(used - bytes, used)
}

let lastMs = 0
let lastSeq = 0

/**
 * A UUIDv7 (RFC 9562 §5.7), strictly increasing within this process: method 1 of §6.2, a 12-bit
 * counter in `rand_a` that starts low in each millisecond; when it overflows, the time runs ahead.
 */
export function newUuid(nowMs: number = Date.now()): string {
  if (nowMs > lastMs) {
    lastMs = nowMs
    lastSeq = entropy(1)[0] as number
  } else if (++lastSeq > 0xfff) {
    lastMs += 1
    lastSeq = 0
  }
  const time = lastMs.toString(16).padStart(12, '0')
  const tail = Buffer.from(entropy(8))
  tail[0] = ((tail[0] as number) & 0x3f) | 0x80
  const hex = tail.toString('hex')
  const seq = lastSeq.toString(16).padStart(3, '0')
  return `${time.slice(0, 8)}-${time.slice(8)}-7${seq}-${hex.slice(0, 4)}-${hex.slice(4)}`
}

/** The first 128 bits of SHA-256 over the parts, as 22 characters of base64url. */
export function hash128(...parts: (string | number)[]): string {
  return hash('sha256', parts.join('\n'), 'base64url').slice(0, 22)
}

/** 96 bits of SHA-256 over a payload: tells two outputs of one task apart (design: `diverged`). */
export function digestOf(payload: Buffer | string): string {
  return hash('sha256', payload, 'base64url').slice(0, 16)
}

/** Id of the message on an edge, for a run and an item path; no attempt in it. */
export function edgeMessageId(job: string, run: number, edge: string, item: string): MessageId {
  return hash128(job, run, 'edge', edge, item) as MessageId
}

/** Id of a message that a stage writes to itself. A retry keeps the id of what it repeats instead. */
export function ownMessageId(
  job: string,
  run: number,
  kind: 'outcome' | 'joined' | 'timeout' | 'closed',
  step: string,
  item: string,
): MessageId {
  return hash128(job, run, kind, step, item) as MessageId
}

/**
 * What an author hands to outside systems: stable over attempts, redeliveries and repair runs, new
 * when a step is re-executed on purpose.
 */
export function idempotencyKeyOf(
  tenant: string,
  job: string,
  step: string,
  item: string,
  reexecution: number,
): string {
  return hash128(tenant, job, 'effect', step, item, reexecution)
}
