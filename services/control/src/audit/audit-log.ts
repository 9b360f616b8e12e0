import type { AuditDetail } from '@weir/contracts'
import type { Logger } from '@weir/runtime'
import { type NewEntry, newEntry } from './entry.ts'
import { createTally, type Noted, type Repeated } from './tally.ts'

/** Actions that anybody can bring about as often as he likes. */
type RepeatedAction = 'access.denied' | 'admission.refused' | 'backpressure.refused'

/** How often, and when, is counted here. */
type WithoutRepeats<Detail> = Omit<Detail, keyof AuditDetail<'audit.crowded'>>

/** A denial or refusal that was just answered. */
export type Note = {
  readonly [Action in RepeatedAction]: {
    readonly action: Action
    /** In whose log it stands. */
    readonly tenant: string
    readonly actor: string
    readonly object: string
    readonly requestId: string
    /** What is alike beside action and tenant: they share an entry. */
    readonly alike: string
    readonly detail: WithoutRepeats<AuditDetail<Action>>
  }
}[RepeatedAction]

/**
 * Denials and refusals on their way into the audit log. Nobody waits for them, and however many
 * there are, few are written: of what is alike the first at once, then one entry a minute that says
 * how often it came. Each instance counts for itself.
 */
export type AuditLog = {
  note(note: Note): void
  /** Writes a copy of an entry that stands in another log already. */
  write(tenant: string, entry: NewEntry): void
  /** When all that is told has been written. */
  settled(): Promise<void>
  /** Tells of all that was only counted, and waits until it is written. */
  flush(): Promise<void>
  stop(): Promise<void>
}

export type AuditLogPorts = {
  readonly write: (tenant: string, entry: NewEntry) => Promise<void>
  readonly onNoted: (outcome: Noted | 'failed') => void
  readonly log: Logger
  readonly now?: () => number
}

const LIMITS = { windowMs: 60_000, keysMax: 4_000, groupKeysMax: 64 }
const LOOK_MS = 5_000
const STOP_MS = 2_000
/** Entries that wait for the database; beyond it they are counted as failed. */
const WAITING_MAX = 8_000

export function createAuditLog({ write, onNoted, log, now = Date.now }: AuditLogPorts): AuditLog {
  const tally = createTally<Note>(LIMITS)
  const waiting: { readonly tenant: string; readonly entry: NewEntry }[] = []
  let writing: Promise<void> | undefined

  const send = (tenant: string, entry: NewEntry) => {
    if (waiting.length >= WAITING_MAX) {
      onNoted('failed')
      return
    }
    waiting.push({ tenant, entry })
    writing ??= writeAll().finally(() => {
      writing = undefined
    })
  }

  /** One at a time: it takes one connection from those that answer requests, and no more. */
  async function writeAll(): Promise<void> {
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
      try {
        await write(next.tenant, next.entry)
      } catch (error) {
        onNoted('failed')
        const { action, object } = next.entry
        log.warn({ err: error, action, object }, 'an audit entry could not be written')
      }
    }
  }

  const tell = (repeated: readonly Repeated<Note>[]) => {
    for (const one of repeated) send(one.group, toEntry(one))
  }

  const timer = setInterval(() => tell(tally.due(now())), LOOK_MS).unref()

  const settled = async () => {
    while (writing !== undefined) await writing
  }
  const flush = async () => {
    tell(tally.drain())
    await settled()
  }

  return {
    note(note) {
      const nowMs = now()
      const key = `${note.action} ${note.alike}`
      const outcome = tally.note(note.tenant, key, note, nowMs)
      onNoted(outcome)
      if (outcome !== 'first') return
      const once = { group: note.tenant, entry: note, count: 1, fromMs: nowMs, toMs: nowMs }
      send(note.tenant, toEntry(once))
    },
    write: send,
    settled,
    flush,
    async stop() {
      clearInterval(timer)
      // A database that is away must not keep the process: what waits is given up, and said so.
      const late = setTimeout(() => {
        log.warn({ entries: waiting.length }, 'audit entries are given up')
        for (const _ of waiting.splice(0)) onNoted('failed')
      }, STOP_MS)
      try {
        await flush()
      } finally {
        clearTimeout(late)
      }
    },
  }
}

function toEntry({ entry, count, fromMs, toMs }: Repeated<Note>): NewEntry {
  const from = new Date(fromMs).toISOString()
  const repeats = { count, from, to: new Date(toMs).toISOString() }
  if (entry === undefined) {
    const rest = { actor: 'weir', object: 'audit', requestId: '', decision: 'denied' } as const
    return newEntry('audit.crowded', repeats, rest)
  }
  const { action, actor, object, requestId } = entry
  const detail = { ...repeats, ...entry.detail } as AuditDetail<RepeatedAction>
  return newEntry(action, detail, { actor, object, requestId, decision: 'denied' })
}
