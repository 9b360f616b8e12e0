import { hash } from 'node:crypto'
import type { AuditAction, AuditDetail, GateBeat, GateRecord } from '@weir/contracts'
import { GATE_KNOWN_MS } from '@weir/core'
import { type NewEntry, newEntry } from '../audit/entry.ts'

/*
 * What becomes of the gates, as entries of the installation's audit log. Every instance of control
 * reads the same log of gates, and each of them writes:
 *
 * 1. An entry's id and time follow from what it is about and from the brokers' times alone, so that
 *    however many instances see it, and however often one starts anew, it is written once.
 * 2. What came about while no instance was there is written by the next one that starts.
 */

/** So long nothing is heard before it is worth an entry; the gates count as unknown before. */
const GATES_SILENT_MS = 5_000

export type GateLog = {
  /** Records that count, in the order of the log; `isNew` as in `Gates`. */
  take(key: string, heard: GateRecord | GateBeat | null, timestampMs: number, isNew: boolean): void
  /** Up to `freshAtMs`, by the process's own clock, nothing has come but what was taken. */
  look(freshAtMs: number): void
}

export function createGateLog(
  write: (entry: NewEntry) => void,
  now: () => number = () => performance.now(),
): GateLog {
  const gates = new Map<string, GateRecord>()
  let heardAtMs: number | undefined
  let lastMs = 0
  let isSilent = false

  const tell = <Action extends AuditAction>(
    action: Action,
    object: string,
    atMs: number,
    detail: AuditDetail<Action>,
    what = '',
  ) => {
    const entry = newEntry(action, detail, { actor: 'weir', object, requestId: '' })
    write({ ...entry, id: uuidOf(atMs, action, object, what), at: new Date(atMs) })
  }

  const tellSilence = () => {
    const sinceMs = lastMs + GATE_KNOWN_MS
    tell('gates.unknown', 'gates', sinceMs, { since: timeOf(sinceMs) })
    isSilent = true
  }

  /** Of the log as it was before the start only the last records are left: gaps there say nothing. */
  const hear = (timestampMs: number, isNew: boolean) => {
    const isGap = heardAtMs !== undefined && timestampMs - lastMs >= GATES_SILENT_MS
    if (isNew && isGap && !isSilent) tellSilence()
    if (isSilent) tell('gates.known', 'gates', timestampMs, { since: timeOf(timestampMs) })
    isSilent = false
    lastMs = timestampMs
    heardAtMs = now()
  }

  const change = (
    { stage, lane, state }: Pick<GateRecord, 'stage' | 'lane'> & { state?: GateRecord['state'] },
    before: GateRecord | undefined,
    atMs: number,
    reason: string,
  ) => {
    const of = { stage, lane, from: before?.state ?? null, to: state ?? 'gone', reason } as const
    // Not of the state before: who has just started does not know it.
    tell('gate.changed', `gate:${stage}/${lane}`, atMs, of, `${of.to} ${reason}`)
  }

  return {
    take(key, heard, timestampMs, isNew) {
      const before = gates.get(key)
      if (heard === null) {
        gates.delete(key)
        const { stage, lane } = before ?? {}
        if (stage === undefined || lane === undefined) return
        change({ stage, lane }, before, timestampMs, '')
        return
      }
      hear(timestampMs, isNew)
      if ('beat' in heard) return
      gates.set(key, heard)
      const { since, state, reason } = heard
      if (before?.since !== since || before.state !== state) change(heard, before, since, reason)
    },
    look(freshAtMs) {
      if (isSilent || heardAtMs === undefined) return
      if (freshAtMs - heardAtMs >= GATES_SILENT_MS) tellSilence()
    },
  }
}

const timeOf = (ms: number) => new Date(ms).toISOString()

/** A UUIDv7 of a moment and of what happened then: the same wherever it is made. */
function uuidOf(atMs: number, ...parts: readonly string[]): string {
  const time = Math.floor(atMs).toString(16).padStart(12, '0')
  const digest = hash('sha256', [atMs, ...parts].join('\n'), 'hex')
  const variant = '89ab'[Number.parseInt(digest[3] as string, 16) & 3]
  const rest = `${digest.slice(4, 7)}-${digest.slice(7, 19)}`
  return `${time.slice(0, 8)}-${time.slice(8)}-7${digest.slice(0, 3)}-${variant}${rest}`
}
