import type { Envelope, MessageId, MessageMeta, Plan } from '@weir/contracts'
import { checkMessage } from '../../libs/core/src/message/check.ts'
import {
  type Command,
  type CommitPoint,
  createPartition,
  type Incoming,
  type Partition,
  type PartitionOptions,
  type Task,
  type TaskEnd,
} from '../../libs/core/src/partition/partition.ts'
import { decodeMetadata, encodeMetadata } from '../../libs/core/src/watermark/metadata.ts'
import type { Log, Stored } from './log.ts'

/** What the group's coordinator keeps for a partition. */
export type Commit = { offset: number; text: string }

export type OwnerOptions = Omit<PartitionOptions, 'committed' | 'metadata' | 'generation'> & {
  readonly plan: (id: string) => Plan
}

/** An instance's hold on a partition, from its assignment to its loss. */
export type Owner = {
  readonly log: Log
  readonly generation: number
  phase: 'claiming' | 'reading' | 'refilling' | 'live' | 'lost'
  readonly partition: Partition | null
  readonly ready: Set<Task>
  readonly running: Map<Task, { readonly startedAt: number; readonly endsAt: number }>
  /** Records of the log that it could fold now. */
  readonly behind: number
  /** Kept over to a later generation of the group. */
  adopt(generation: number): void
  read(commit: Commit, nowMs: number): void
  foldNext(nowMs: number): boolean
  start(task: Task, nowMs: number, workMs: number): boolean
  end(task: Task, end: TaskEnd, nowMs: number): void
  tick(nowMs: number): number | null
  commitPoint(): Commit | null
  fence(job: string): void
  appended(token: number): void
  sent(token: number): void
}

export type OwnerHooks = {
  readonly run: (command: Extract<Command, { do: 'append' | 'send' }>) => void
  readonly trace: (line: () => string) => void
}

/** Seams at which a test plants a bug around the real code. */
export type Wrap = {
  readonly record?: (record: Incoming) => Incoming
  /** Told of every own record that is handed over. */
  readonly appended?: (command: Extract<Command, { do: 'append' }>) => void
  readonly commit?: (point: CommitPoint, partition: Partition) => CommitPoint
  readonly partition?: (options: PartitionOptions) => Partition
}

export function ownerRecord(stage: string, generation: number): Envelope {
  const meta: MessageMeta = {
    v: 1,
    kind: 'owner',
    run: 0,
    plan: '',
    planOffset: 0,
    step: '',
    edge: -1,
    item: '',
    counts: [],
    attempt: 0,
    priority: 0,
    createdAt: 0,
    notAfter: Number.MAX_SAFE_INTEGER,
    gen: generation,
  }
  return {
    id: `owner/${stage}/${generation}` as MessageId,
    cause: '',
    tenant: '',
    job: '',
    correlation: '',
    traceparent: '',
    ticket: '',
    meta,
  }
}

const somePlan = { steps: [], edges: [] } as unknown as Plan

export function createOwner(
  log: Log,
  generation: number,
  options: OwnerOptions,
  hooks: OwnerHooks,
  wrap: Wrap = {},
): Owner {
  let partition: Partition | null = null
  let committed = 0
  let cursor = 0
  const ready = new Set<Task>()
  const running = new Map<Task, { startedAt: number; endsAt: number }>()

  const toIncoming = (stored: Stored): Incoming => {
    const { envelope, offset, timestampMs, value } = stored
    if (envelope.meta.kind === 'owner') {
      const step = undefined as unknown as Incoming['step']
      return { offset, timestampMs, envelope, value, plan: somePlan, step }
    }
    const plan = options.plan(envelope.meta.plan)
    const step = checkMessage(plan, log.stage, envelope)
    if (typeof step === 'string') throw new Error(`${log.stage}: ${step}`)
    return { offset, timestampMs, envelope, value, plan, step }
  }

  const drain = () => {
    for (const command of partition?.take() ?? []) {
      switch (command.do) {
        case 'ready':
          ready.add(command.task)
          break
        case 'abort':
          running.delete(command.task)
          break
        default:
          if (command.do === 'append') wrap.appended?.(command)
          hooks.run(command)
      }
    }
  }

  const held = (): Partition => {
    if (partition === null) throw new Error('the partition has not been read yet')
    return partition
  }

  const finishRefill = () => {
    if (owner.phase === 'refilling' && held().position >= committed) {
      held().endRefill()
      owner.phase = 'live'
      drain()
    }
  }

  const owner: Owner = {
    log,
    generation,
    phase: 'claiming',
    get partition() {
      return partition
    },
    ready,
    running,
    get behind() {
      return partition === null ? 0 : log.records.length - cursor
    },
    adopt(next) {
      partition?.adopt(next)
    },
    read(commit, nowMs) {
      committed = commit.offset
      const metadata = decodeMetadata(committed, commit.text)
      const { plan: _plan, ...rest } = options
      const given = { ...rest, generation, committed, metadata, nowMs }
      partition = wrap.partition === undefined ? createPartition(given) : wrap.partition(given)
      cursor = log.find(partition.restoreFrom)
      owner.phase = 'refilling'
      hooks.trace(
        () => `  from ${held().restoreFrom}, open ${metadata?.openFrom}, committed ${committed}`,
      )
      finishRefill()
    },
    foldNext(nowMs) {
      const stored = log.records[cursor]
      if (stored === undefined || (held().full && owner.phase === 'live')) return false
      cursor += 1
      const record = toIncoming(stored)
      hooks.trace(() => {
        const { meta } = record.envelope
        const kind = `${meta.kind}${meta.gen === undefined ? '' : `(${meta.gen})`}`
        return `  fold ${record.offset} ${kind} ${record.envelope.job} ${meta.step}[${meta.item}] edge ${meta.edge} #${meta.attempt}`
      })
      held().fold(wrap.record?.(record) ?? record, nowMs)
      finishRefill()
      drain()
      return true
    },
    start(task, nowMs, workMs) {
      ready.delete(task)
      const may = held().start(task)
      if (may) running.set(task, { startedAt: nowMs, endsAt: nowMs + workMs })
      drain()
      return may
    },
    end(task, end, nowMs) {
      const startedAt = running.get(task)?.startedAt ?? nowMs
      running.delete(task)
      held().end(task, end, { waitMs: 0, workMs: nowMs - startedAt }, nowMs)
      drain()
    },
    tick(nowMs) {
      const next = held().tick(nowMs)
      drain()
      return next
    },
    commitPoint() {
      const point = held().commitPoint()
      drain()
      if (point === null) return null
      const { offset, metadata } = wrap.commit?.(point, held()) ?? point
      return { offset, text: encodeMetadata(offset, metadata) }
    },
    fence(job) {
      held().fence(job, 1)
      drain()
    },
    appended(token) {
      held().appended(token)
      drain()
    },
    sent(token) {
      held().sent(token)
      drain()
    },
  }
  return owner
}
