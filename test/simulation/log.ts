import type { Envelope } from '@weir/contracts'
import type { Random } from './random.ts'

export type Draft = { readonly key: string; readonly envelope: Envelope; readonly value: string }
export type Stored = Draft & { readonly offset: number; readonly timestampMs: number }

/** A partition of a stage's topic: append, and read by offset. Offsets may have gaps. */
export type Log = {
  readonly stage: string
  readonly partition: number
  readonly records: readonly Stored[]
  readonly end: number
  /** The longest time between two records with the same id and attempt. */
  readonly duplicatedAfterMs: number
  append(draft: Draft, nowMs: number): Stored
  /** When a record with this id and attempt was first appended. */
  firstSeen(envelope: Envelope): number | undefined
  /** Position in `records` of the first record at or after an offset. */
  find(offset: number): number
}

// A task that ran again may send another kind of message under the same id.
const keyOf = ({ id, meta }: Envelope) =>
  meta.gen === undefined ? `${id}/${meta.attempt}` : `${id}/${meta.kind}/${meta.attempt}`

export function createLog(stage: string, partition: number, random?: Random): Log {
  const records: Stored[] = []
  const firstSeen = new Map<string, number>()
  let end = 0
  let duplicatedAfterMs = 0
  return {
    stage,
    partition,
    records,
    get end() {
      return end
    },
    get duplicatedAfterMs() {
      return duplicatedAfterMs
    },
    append(draft, nowMs) {
      if (random?.chance(0.02)) end += random.between(1, 3)
      const { meta } = draft.envelope
      const stored = { ...draft, offset: end, timestampMs: nowMs }
      records.push(stored)
      end += 1
      if (meta.kind !== 'owner' && meta.kind !== 'closed') {
        const key = keyOf(draft.envelope)
        const first = firstSeen.get(key)
        if (first === undefined) firstSeen.set(key, nowMs)
        else duplicatedAfterMs = Math.max(duplicatedAfterMs, nowMs - first)
      }
      return stored
    },
    firstSeen: (envelope) => firstSeen.get(keyOf(envelope)),
    find(offset) {
      let low = 0
      let high = records.length
      while (low < high) {
        const middle = (low + high) >> 1
        if ((records[middle] as Stored).offset < offset) low = middle + 1
        else high = middle
      }
      return low
    },
  }
}
