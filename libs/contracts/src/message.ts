import type { MessageId } from './ids.ts'

/** What travels on an edge. */
const EDGE_KINDS = ['data', 'skipped', 'failed', 'empty'] as const
export type EdgeMessageKind = (typeof EDGE_KINDS)[number]

/** What a stage appends to the partition it reads (design: messages to oneself). */
export const OWN_KINDS = ['owner', 'outcome', 'joined', 'retry', 'timeout', 'closed'] as const
export type OwnMessageKind = (typeof OWN_KINDS)[number]

export type MessageKind = EdgeMessageKind | OwnMessageKind

/**
 * `weir-meta`: the part of the envelope that the engine decides by. Times are epoch milliseconds.
 * `item` is the path of the message's own item (`''`, `'3'`, `'3.17'`): on a plain edge its task's,
 * on an `each` edge the element's, on a `gather` edge that of the source's task. A marker for a
 * whole fan-out on a `gather` edge carries the path of the enclosing scope, one level shorter.
 */
export type MessageMeta = {
  readonly v: 1
  readonly kind: MessageKind
  readonly run: number
  readonly plan: string
  /** Offset of the plan on `weir.plans`: a stage that is behind it waits. */
  readonly planOffset: number
  readonly step: string
  /** Index of the edge in the plan; -1 on own messages that stand for no edge. */
  readonly edge: number
  readonly item: string
  /** Number of elements of each enclosing fan-out, outermost first; as long as `item`'s path. */
  readonly counts: readonly number[]
  readonly attempt: number
  readonly priority: number
  /** When the job was submitted. */
  readonly createdAt: number
  readonly notAfter: number
  /**
   * Digest of the payload, as the sender's report names it, where the receiver's report has to name
   * what it took.
   */
  readonly digest?: string
  /** How often this step was re-executed on purpose; part of the author's idempotency key. */
  readonly reexecution?: number
  /** Replay or redrive that made this run. */
  readonly replay?: string
  /** Tenant key id of an encrypted payload; reserved. */
  readonly enc?: string
  /** Own messages only: generation of the group under which they were written. */
  readonly gen?: number
  /** Own messages only: proof by the stage's key over the fields that decide. */
  readonly mac?: string
  /** `retry` only: kind of the message that it repeats, and the earliest time of the attempt. */
  readonly of?: 'data' | 'joined'
  readonly notBefore?: number
  /** `retry` only: the errors of the attempts before, oldest first, as far as they fit. */
  readonly history?: readonly {
    readonly attempt: number
    readonly code: string
    readonly at: number
  }[]
}

/** At most eight headers: the client's decoder is quadratic in their number. */
export const HEADERS = {
  trace: 'traceparent',
  id: 'weir-id',
  cause: 'weir-cause',
  tenant: 'weir-tenant',
  job: 'weir-job',
  correlation: 'weir-corr',
  meta: 'weir-meta',
  ticket: 'weir-ticket',
} as const

/** A message as it is written to and read from a stage's topic, payload apart. */
export type Envelope = {
  readonly id: MessageId
  readonly cause: string
  readonly tenant: string
  readonly job: string
  readonly correlation: string
  readonly traceparent: string
  readonly ticket: string
  readonly meta: MessageMeta
}

/** The headers of a record for an envelope. */
export function encodeEnvelope(envelope: Envelope): Record<string, string> {
  // The names as they stand: names that are looked up would make the object member by member.
  return {
    traceparent: envelope.traceparent,
    'weir-id': envelope.id,
    'weir-cause': envelope.cause,
    'weir-tenant': envelope.tenant,
    'weir-job': envelope.job,
    'weir-corr': envelope.correlation,
    'weir-meta': JSON.stringify(envelope.meta),
    'weir-ticket': envelope.ticket,
  } satisfies Record<(typeof HEADERS)[keyof typeof HEADERS], string>
}

const KINDS = new Set<unknown>([...EDGE_KINDS, ...OWN_KINDS])
const isWhole = (value: unknown): value is number =>
  Number.isSafeInteger(value) && Number(value) >= 0
const ITEM = /^(?:(?:0|[1-9][0-9]{0,4})(?:\.(?:0|[1-9][0-9]{0,4})){0,3})?$/

/**
 * The envelope of a record, or a sentence that says why it is none. Checks shape only: whether it
 * is genuine is for the ticket.
 */
export function decodeEnvelope(headers: Readonly<Record<string, string>>): Envelope | string {
  const text = headers[HEADERS.meta]
  if (text === undefined) return 'no weir-meta header'
  let meta: MessageMeta
  try {
    meta = JSON.parse(text) as MessageMeta
  } catch {
    return 'weir-meta is not JSON'
  }
  if (meta === null || typeof meta !== 'object') return 'weir-meta is not an object'
  if (meta.v !== 1) return `weir-meta has the unknown format ${String(meta.v)}`
  if (!KINDS.has(meta.kind)) return 'weir-meta has an unknown kind'
  if (!isWhole(meta.run) || !isWhole(meta.planOffset) || !isWhole(meta.attempt)) {
    return 'weir-meta has a number that is none'
  }
  if (typeof meta.plan !== 'string' || typeof meta.step !== 'string')
    return 'weir-meta names no step'
  if (typeof meta.item !== 'string' || !ITEM.test(meta.item)) return 'weir-meta has no item path'
  if (!Array.isArray(meta.counts) || !meta.counts.every(isWhole)) return 'weir-meta has no counts'
  if (!Number.isSafeInteger(meta.edge) || meta.edge < -1) return 'weir-meta names no edge'
  if (!isWhole(meta.notAfter) || !isWhole(meta.createdAt)) return 'weir-meta has no times'
  const id = headers[HEADERS.id]
  const tenant = headers[HEADERS.tenant]
  const job = headers[HEADERS.job]
  if (id === undefined || tenant === undefined || job === undefined)
    return 'an id header is missing'
  return {
    id: id as MessageId,
    cause: headers[HEADERS.cause] ?? '',
    tenant,
    job,
    correlation: headers[HEADERS.correlation] ?? '',
    traceparent: headers[HEADERS.trace] ?? '',
    ticket: headers[HEADERS.ticket] ?? '',
    meta,
  }
}

/** Key of a record: all parts of a join of one run and scope meet in one partition. */
export function recordKey(job: string, run: number, step: string, scopeItem: string): string {
  return `${job}/${run}/${step}/${scopeItem}`
}

/** Number of levels in an item path. */
export function depthOf(item: string): number {
  return item === '' ? 0 : item.split('.').length
}

/** Path of the item that encloses this one: `3.17` → `3`, `3` → ``. */
export function parentItem(item: string): string {
  const dot = item.lastIndexOf('.')
  return dot === -1 ? '' : item.slice(0, dot)
}

/** Path of element `index` of a fan-out opened by the task with path `item`. */
export function childItem(item: string, index: number): string {
  return item === '' ? String(index) : `${item}.${index}`
}

/** Last index of a path: `3.17` → 17. */
export function itemIndex(item: string): number {
  return Number(item.slice(item.lastIndexOf('.') + 1))
}
