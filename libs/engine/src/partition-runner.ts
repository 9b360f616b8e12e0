import { type Envelope, type Lane, limits, type Plan, type TicketKey } from '@weir/contracts'
import {
  type Command,
  type CommitMetadata,
  createPartition,
  decodeMetadata,
  encodeMetadata,
  type Incoming,
  type Partition,
  type PartitionOptions,
  type Task,
} from '@weir/core'
import type { KafkaRecord, OffsetToCommit } from '@weir/kafka'
import { type Logger, withLogContext } from '@weir/runtime'
import type { Stage } from '@weir/sdk'
import type { EngineClock } from './clock.ts'
import type { EngineCounters } from './counters.ts'
import { effectiveStep } from './effective-step.ts'
import { messageContext } from './log-context.ts'
import type { PlanView } from './plan-view.ts'
import { type Message, type Refusal, readMessage, stepFor } from './read-message.ts'
import { createRecordQueue } from './record-queue.ts'
import type { Sender } from './sender.ts'
import type { TaskOwner, TaskRunner } from './task-runner.ts'

/*
 * The shell of one input partition around its pure protocol (libs/core). What it keeps to:
 *
 * 1. Records are handed to the protocol in offset order, each verified first; what fails goes to
 *    `weir.dlq` and is finished when that is acknowledged. Nobody's bytes stop the partition.
 * 2. Commands are carried out in their order: what a partition appends keeps the order of its
 *    decisions, and everything decided under a generation is appended before the owner record of the
 *    next.
 * 3. Nothing is produced while the membership is not confirmed to be alive.
 * 4. What could not be sent for good restarts the partition from its commit; it is never passed over.
 * 5. A partition that is to go starts nothing and folds nothing more; what it has under way ends, is
 *    acknowledged and committed, so that its next owner starts nothing a second time.
 */
export type PartitionRunner = TaskOwner & {
  /** restoring: owner record, committed offset or refill are not done. stopped: needs an operator. */
  readonly state: 'restoring' | 'running' | 'stopped' | 'released'
  readonly isRestored: boolean
  readonly queued: number
  readonly unfinished: number
  readonly openJoins: number
  /** Sends that are not acknowledged. */
  readonly unacknowledged: number
  /** Nothing is under way: what it stands at can be committed, and will not change by itself. */
  readonly isQuiet: boolean
  /** Starts from what the group has committed. */
  begin(generation: number, offset: number, metadata: string | null): void
  /** Kept over to the next generation: what was decided before goes out before the owner record. */
  keep(generation: number): Promise<void>
  enqueue(records: readonly KafkaRecord[]): void
  /** Folds what is queued and carries out what follows. */
  pump(): void
  fence(job: string, run: number): void
  tick(): void
  /** What to commit where it has changed since the last `committed`. */
  toCommit(): OffsetToCommit | undefined
  committed(commit: OffsetToCommit): void
  /** What `toCommit` gave was not taken. */
  notCommitted(): void
  /** Starts and folds nothing any more, for it will be another's, or the instance stops. */
  windUp(): void
  stop(reason: string): void
  /** Its partition is lost, or is read anew: nothing of it counts any more. */
  release(): void
}

export type PartitionRunnerOptions = {
  readonly topic: string
  readonly partition: number
  readonly lane: Lane
  readonly stage: Stage
  readonly keys: readonly TicketKey[]
  readonly plans: PlanView
  readonly sender: Sender
  readonly tasks: TaskRunner
  readonly clock: EngineClock
  readonly log: Logger
  readonly counters: EngineCounters
  readonly horizonMs: number
  readonly isFenced: (job: string, run: number) => boolean
  readonly retryDelayMs: PartitionOptions['retryDelayMs']
  readonly instalmentOf: PartitionOptions['instalmentOf']
  readonly joinBytesMax: number
  /** False while the last confirmed heartbeat is too old to produce anything. */
  readonly mayProduce: () => boolean
  readonly seek: (offset: number) => void
  /** Lets records come, or holds them back. */
  readonly flow: (isOpen: boolean) => void
  /** Something may be committed. */
  readonly onChanged: () => void
  readonly onRestored: () => void
  /** Must be restored from its commit. */
  readonly onBroken: (error: Error) => void
}

const QUEUE_HIGH = { records: 1_000, bytes: 8 * 1024 * 1024 }
const QUEUE_LOW = { records: 500, bytes: 4 * 1024 * 1024 }

export function createPartitionRunner(options: PartitionRunnerOptions): PartitionRunner {
  const { topic, partition, lane, stage, keys, plans, sender, tasks, clock, counters } = options
  const log = options.log.child({ topic, partition })
  const nowMs = () => Math.floor(clock.now())
  const here = { topic, partition }
  const queue = createRecordQueue()
  const traceparents = new WeakMap<Task, string>()
  const seen = { duplicates: 0, late: 0, zombies: 0, absorbed: 0, expired: 0 }
  let state: PartitionRunner['state'] = 'restoring'
  let protocol: Partition | undefined
  let committedOffset = 0
  let isRefilling = true
  let isFlowing = false
  /** Taken from the protocol and not carried out: the membership was not confirmed. */
  let held: Command[] = []
  /** The verified head of the queue, where it waits for its plan. */
  let waitsForPlan: { readonly message: Message; readonly untilMs: number } | undefined
  let unacknowledged = 0
  let isSettling = false
  let isWindingUp = false
  let isDirty = false
  let lastCommit = ''

  const flow = (isOpen: boolean) => {
    if (isFlowing === isOpen) return
    isFlowing = isOpen
    options.flow(isOpen)
  }

  const broken = (error: Error) => {
    if (state !== 'running') return
    log.error({ err: error }, 'something could not be sent: the partition starts from its commit')
    release()
    if (!isWindingUp) options.onBroken(error)
  }

  /** Answers to what was sent come in bunches: the protocol is asked once for all of them. */
  const settleSoon = () => {
    if (isSettling) return
    isSettling = true
    queueMicrotask(() => {
      isSettling = false
      pump()
    })
  }

  const acknowledge = (error: Error | undefined, apply: (protocol: Partition) => void) => {
    unacknowledged -= 1
    if (state !== 'running' || protocol === undefined) return
    if (error !== undefined) {
      broken(error)
      return
    }
    apply(protocol)
    isDirty = true
    settleSoon()
  }

  const carryOut = (command: Command) => {
    switch (command.do) {
      case 'ready':
        tasks.add(runner, command.task)
        return
      case 'abort':
        tasks.abort(command.task, command.reason)
        return
      case 'append':
      case 'send': {
        const { token, task } = command
        const given = command.do === 'send' ? command.source : command.envelope
        // A retry carries on with the context of its message: attempts stand side by side.
        const isRetry = command.do === 'append' && command.envelope.meta.kind === 'retry'
        const own = task === null || isRetry ? undefined : traceparents.get(task)
        const traceparent = own ?? given.traceparent
        unacknowledged += 1
        if (command.deadLetter !== null) counters.deadLetters += 1
        if (command.do === 'append') {
          sender.append(here, command, traceparent, (error) =>
            acknowledge(error, (current) => current.appended(token)),
          )
        } else {
          sender.send(here, command, traceparent, (error) =>
            acknowledge(error, (current) => current.sent(token)),
          )
        }
        return
      }
      default:
        command satisfies never
    }
  }

  const drain = () => {
    if (protocol === undefined) return
    const commands = protocol.take()
    if (commands.length === 0 && held.length === 0) return
    isDirty = true
    if (!options.mayProduce()) {
      held.push(...commands)
      return
    }
    if (held.length > 0) {
      const before = held
      held = []
      for (const command of before) carryOut(command)
    }
    for (const command of commands) carryOut(command)
  }

  /** `envelope` where the record is genuine: what is not names nobody. */
  const refuse = (
    current: Partition,
    record: KafkaRecord,
    refusal: Refusal,
    envelope?: Envelope,
  ) => {
    const { offset, timestamp } = record
    const unfinished = current.unfinished
    current.foldForeign(offset, timestamp)
    // It was put aside before the restart.
    if (current.unfinished === unfinished) return
    counters.refused += 1
    const known = envelope === undefined ? {} : messageContext(stage, envelope)
    withLogContext(known, () => log.warn({ offset, ...refusal }, 'a record was put aside'))
    unacknowledged += 1
    sender.refuse(record, refusal, (error) => acknowledge(error, (still) => still.finish(offset)))
  }

  const fold = (current: Partition, message: Message, plan: Plan | undefined) => {
    const { record, envelope, value } = message
    const isOwner = envelope.meta.kind === 'owner'
    if (plan === undefined && !isOwner) {
      const detail = `plan ${envelope.meta.plan}`
      refuse(current, record, { reason: 'plan_unknown', detail }, envelope)
      return
    }
    const step = plan === undefined ? undefined : stepFor(stage.ref, plan, message)
    if (step !== undefined && 'reason' in step) {
      refuse(current, record, step, envelope)
      return
    }
    const incoming = {
      offset: record.offset,
      timestampMs: record.timestamp,
      envelope,
      plan,
      step: step && effectiveStep(stage, step),
      value,
    } as Incoming
    try {
      current.fold(incoming, nowMs())
    } catch (error) {
      // A body that is genuine and still no JSON: its run ends by its not-after, others go on.
      withLogContext(messageContext(stage, envelope), () =>
        log.error({ err: error, offset: record.offset }, 'a record could not be folded'),
      )
      unacknowledged += 1
      const refusal = { reason: 'malformed', detail: String(error) } as const
      sender.refuse(record, refusal, (failure) =>
        acknowledge(failure, (still) => still.finish(record.offset)),
      )
    }
  }

  /** False where the head of the queue has to wait for its plan. */
  const foldHead = (current: Partition, record: KafkaRecord): boolean => {
    const waited = waitsForPlan
    const message = waited?.message ?? readMessage(keys, record)
    if ('reason' in message) {
      refuse(current, record, message)
      return true
    }
    const { meta } = message.envelope
    const plan = plans.get(meta.plan)
    if (plan === undefined && meta.kind !== 'owner' && !plans.hasPassed(meta.planOffset)) {
      const atMs = clock.monotonicMs()
      waitsForPlan ??= { message, untilMs: atMs + limits.planHoldMs }
      if (atMs < waitsForPlan.untilMs) return false
    }
    waitsForPlan = undefined
    fold(current, message, plan)
    return true
  }

  const endRefill = (current: Partition) => {
    isRefilling = false
    current.endRefill()
    isDirty = true
    options.onRestored()
  }

  const pump = () => {
    if (state !== 'running' || protocol === undefined) return
    const current = protocol
    if (isWindingUp) {
      drain()
      countUp(current)
      if (isDirty) options.onChanged()
      return
    }
    for (let record = queue.peek(); record !== undefined && !current.full; record = queue.peek()) {
      if (isRefilling && record.offset >= committedOffset) endRefill(current)
      if (record.offset < current.position) {
        queue.shift()
        continue
      }
      if (!foldHead(current, record)) break
      queue.shift()
      isDirty = true
      if (isRefilling && current.position >= committedOffset) endRefill(current)
    }
    drain()
    countUp(current)
    if (queue.length <= QUEUE_LOW.records && queue.bytes <= QUEUE_LOW.bytes) flow(true)
    if (isDirty) options.onChanged()
  }

  const countUp = ({ counters: now }: Partition) => {
    counters.duplicatesSuppressed += now.duplicates - seen.duplicates
    counters.late += now.late - seen.late
    counters.zombies += now.zombies - seen.zombies
    counters.absorbed += now.absorbed - seen.absorbed
    counters.expired += now.expired - seen.expired
    counters.dropped += now.absorbed - seen.absorbed + now.expired - seen.expired
    Object.assign(seen, now)
  }

  const release = () => {
    if (state === 'released') return
    state = 'released'
    protocol = undefined
    waitsForPlan = undefined
    held = []
    queue.clear()
    tasks.dropOwner(runner)
  }

  const runner: PartitionRunner = {
    topic,
    partition,
    lane,
    get state() {
      return state
    },
    get isRestored() {
      return state === 'running' && !isRefilling
    },
    get queued() {
      return queue.length
    },
    get unfinished() {
      return protocol?.unfinished ?? 0
    },
    get openJoins() {
      return protocol?.openJoins ?? 0
    },
    get unacknowledged() {
      return unacknowledged
    },
    get isQuiet() {
      if (state !== 'running') return true
      return unacknowledged === 0 && held.length === 0 && !isSettling && !tasks.runsFor(runner)
    },

    start: (task) => state === 'running' && !isWindingUp && protocol?.start(task) === true,

    end(task, end, timing, traceparent) {
      if (state !== 'running' || protocol === undefined) return
      if (traceparent !== task.envelope.traceparent) traceparents.set(task, traceparent)
      protocol.end(task, end, timing, nowMs())
      settleSoon()
    },

    begin(generation, offset, text) {
      if (state !== 'restoring') return
      let metadata: CommitMetadata | undefined
      if (text !== null) {
        metadata = decodeMetadata(offset, text)
        if (metadata === undefined)
          log.warn({ offset }, 'the commit has metadata of another format')
      }
      committedOffset = offset
      protocol = createPartition({
        generation,
        committed: offset,
        metadata,
        horizonMs: options.horizonMs,
        deterministic: stage.deterministic,
        isFenced: options.isFenced,
        retryDelayMs: options.retryDelayMs,
        joinBytesMax: options.joinBytesMax,
        instalmentOf: options.instalmentOf,
      })
      state = 'running'
      if (protocol.restoreFrom >= offset) endRefill(protocol)
      options.seek(protocol.restoreFrom)
      flow(true)
      pump()
    },

    async keep(generation) {
      if (protocol === undefined) return
      // Under the old generation, before the owner record: after it they would count for nothing.
      drain()
      protocol.adopt(generation)
      // The new generation begins with every partition held back.
      isFlowing = false
      if (queue.length <= QUEUE_LOW.records && queue.bytes <= QUEUE_LOW.bytes) flow(true)
      try {
        await sender.own(here, generation)
      } catch (error) {
        broken(error as Error)
      }
    },

    enqueue(records) {
      if (state !== 'running' || isWindingUp) return
      queue.push(records)
      if (queue.length >= QUEUE_HIGH.records || queue.bytes >= QUEUE_HIGH.bytes) flow(false)
      pump()
    },

    pump,

    fence(job, run) {
      if (state !== 'running' || protocol === undefined) return
      protocol.fence(job, run)
      isDirty = true
      settleSoon()
    },

    tick() {
      if (state !== 'running' || protocol === undefined) return
      const { unfinished, openJoins } = protocol
      if (!isWindingUp) protocol.tick(nowMs())
      if (protocol.unfinished !== unfinished || protocol.openJoins !== openJoins) isDirty = true
      pump()
    },

    toCommit() {
      if (state !== 'running' || protocol === undefined || !isDirty) return undefined
      const point = protocol.commitPoint()
      if (point === null) return undefined
      isDirty = false
      // Joins that a late part has closed are written down with the commit.
      drain()
      const metadata = encodeMetadata(point.offset, point.metadata)
      if (`${point.offset} ${metadata}` === lastCommit) return undefined
      return { topic, partition, offset: point.offset, metadata }
    },

    committed({ offset, metadata }) {
      lastCommit = `${offset} ${metadata}`
    },

    notCommitted() {
      isDirty = true
    },

    windUp() {
      isWindingUp = true
      queue.clear()
    },

    stop(reason) {
      log.error({ reason }, 'the partition is stopped')
      release()
      state = 'stopped'
    },

    release,
  }
  return runner
}
