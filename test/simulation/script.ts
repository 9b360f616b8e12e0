import {
  decodeEnvelope,
  type EdgeMessageKind,
  type Envelope,
  edgeMessageId,
  encodeEnvelope,
  type MessageMeta,
  type Plan,
  recordKey,
} from '@weir/contracts'
import type { OutputMessage } from '../../libs/core/src/message/outputs.ts'
import type { Command, Reported, Task, TaskEnd } from '../../libs/core/src/partition/partition.ts'
import { createLog, type Draft, type Log, type Stored } from './log.ts'
import { type Commit, createOwner, type Owner, ownerRecord } from './owner.ts'

type Append = Extract<Command, { do: 'append' }>
type Send = Extract<Command, { do: 'send' }>

export type Given = {
  readonly edge: number
  readonly kind?: EdgeMessageKind
  readonly item?: string
  readonly counts?: readonly number[]
  readonly payload?: string
}

/** An owner in a scripted case: what it asked for and did not get yet, by kind. */
export type Hold = {
  readonly owner: Owner
  readonly appends: readonly Append[]
  readonly sends: readonly Send[]
  /** Folds what is in the log, or that many records. */
  fold(max?: number): void
  /** Runs the first task that is ready. */
  run(end: TaskEnd): Task
  /** Lets the oldest append land; without its acknowledgement where `ack` is false. */
  land(ack?: boolean): Stored
  /** Acknowledges the oldest append and keeps it out of the log: it was read and moved away. */
  moveAway(): Draft
  /** Lets the oldest send happen. */
  send(): Send
  commit(): void
}

/** One partition, moved by hand: every record, acknowledgement, crash and hour is a line of the test. */
export type Script = {
  readonly log: Log
  readonly sent: OutputMessage[]
  readonly reports: Reported[]
  readonly commit: Commit
  wait(ms: number): void
  tick(hold: Hold): void
  give(given: Given): Stored
  /** Appends a copy of a record; with changed meta where given. */
  repeat(stored: Stored, change?: Partial<MessageMeta>): Stored
  /** A retry that was away: without a generation, so that it counts at any owner. */
  giveBack(draft: Draft): Stored
  /** A record that means nothing: the owner's own claim once more. */
  fill(): void
  /** A new owner takes the partition over; the one before is gone. */
  own(): Hold
}

export const HORIZON_MS = 25_000

export function createScript(
  plan: Plan,
  stage: string,
  options: { instalment?: number; deterministic?: boolean } = {},
): Script {
  const log = createLog(stage, 0)
  const sent: OutputMessage[] = []
  const reports: Reported[] = []
  let nowMs = 1_700_000_000_000
  let generation = 0
  let commit: Commit = { offset: 0, text: '' }

  const envelopeOf = ({ edge, kind = 'data', item = '', counts = [] }: Given): Envelope => {
    const base = ownerRecord(stage, 0)
    const meta: MessageMeta = {
      ...base.meta,
      kind,
      run: 1,
      plan: plan.id,
      step: plan.edges[edge]?.to ?? '',
      edge,
      item,
      counts,
      attempt: 1,
    }
    const { gen: _gen, ...rest } = meta
    const id = edgeMessageId('job', 1, String(edge), item)
    return { ...base, id, tenant: plan.tenant, job: 'job', meta: rest }
  }

  return {
    log,
    sent,
    reports,
    get commit() {
      return commit
    },
    wait(ms) {
      nowMs += ms
    },
    tick(hold) {
      hold.owner.tick(nowMs)
    },
    give(given) {
      const envelope = envelopeOf(given)
      const key = recordKey('job', 1, envelope.meta.step, '')
      return log.append({ key, envelope, value: given.payload ?? '1' }, nowMs)
    },
    repeat({ key, envelope, value }, change = {}) {
      const meta = { ...envelope.meta, ...change }
      return log.append({ key, envelope: { ...envelope, meta }, value }, nowMs)
    },
    giveBack({ key, envelope, value }) {
      const { gen: _gen, ...meta } = envelope.meta
      return log.append({ key, envelope: { ...envelope, meta }, value }, nowMs)
    },
    fill() {
      log.append({ key: '', envelope: ownerRecord(stage, generation), value: 'null' }, nowMs)
    },
    own() {
      generation += 1
      const appends: Append[] = []
      const sends: Send[] = []
      const owner = createOwner(
        log,
        generation,
        {
          horizonMs: HORIZON_MS,
          deterministic: options.deterministic ?? false,
          isFenced: () => false,
          retryDelayMs: () => 1_000,
          joinBytesMax: 1_000_000,
          instalmentOf: () => options.instalment ?? Number.POSITIVE_INFINITY,
          plan: () => plan,
        },
        {
          run: (command) => {
            if (command.do === 'append') appends.push(command)
            else sends.push(command)
          },
          trace: () => {},
        },
      )
      log.append({ key: '', envelope: ownerRecord(stage, generation), value: 'null' }, nowMs)
      owner.read(commit, nowMs)
      while (owner.phase === 'refilling') owner.foldNext(nowMs)
      return {
        owner,
        appends,
        sends,
        fold(max = Number.POSITIVE_INFINITY) {
          for (let count = 0; count < max; count += 1) if (!owner.foldNext(nowMs)) return
        },
        run(end) {
          // What was superseded meanwhile refuses to start.
          const task = [...owner.ready].find((each) => owner.start(each, nowMs, 0))
          if (task === undefined) throw new Error('no task is ready')
          owner.end(task, end, nowMs)
          return task
        },
        land(ack = true) {
          const command = appends.shift()
          if (command === undefined) throw new Error('nothing to append')
          const envelope = decodeEnvelope(encodeEnvelope(command.envelope))
          if (typeof envelope === 'string') throw new Error(envelope)
          const { key, value, token, report } = command
          const stored = log.append({ key, envelope, value }, nowMs)
          if (report !== null) reports.push(report)
          if (ack) owner.appended(token)
          return stored
        },
        moveAway() {
          const command = appends.shift()
          if (command === undefined) throw new Error('nothing to append')
          owner.appended(command.token)
          return command
        },
        send() {
          const command = sends.shift()
          if (command === undefined) throw new Error('nothing to send')
          sent.push(...command.messages)
          if (command.report !== null) reports.push(command.report)
          owner.sent(command.token)
          return command
        },
        commit() {
          const point = owner.commitPoint()
          if (point === null) throw new Error('nothing to commit yet')
          commit = point
        },
      }
    },
  }
}

export const ok = (output: string, taken: readonly string[] | null = null): TaskEnd => ({
  end: 'result',
  result: { status: 'ok', output, taken },
})

export const cancel: TaskEnd = { end: 'result', result: { status: 'cancel', reason: 'cancel' } }

export const retry = (retryAfterMs?: number): TaskEnd => ({
  end: 'retry',
  error: { code: 'flaky', message: 'flaky', class: 'transient' },
  ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
})
