import {
  digestOf,
  type Envelope,
  limits,
  type MessageMeta,
  ownMessageId,
  type Plan,
  type PlanStep,
  type RetryPolicy,
  recordKey,
  type TaskError,
  type TaskReport,
} from '@weir/contracts'
import { decideJoin, joinFailure, mayRunPartially } from '../join/decide.ts'
import {
  addPart,
  allDelivered,
  composeInput,
  type OpenJoin,
  openJoin,
  releasePayloads,
} from '../join/open-join.ts'
import {
  fanOutOf,
  faultOfOutput,
  type OutputMessage,
  outputsOf,
  stepOf,
} from '../message/outputs.ts'
import type {
  ClosedBody,
  JoinDecision,
  JoinedBody,
  OutcomeBody,
  TaskResult,
} from '../message/result.ts'
import type { CommitMetadata } from '../watermark/metadata.ts'
import { createTimeIndex } from '../watermark/time-index.ts'
import { createWatermark } from '../watermark/watermark.ts'
import { createIdMemory, DONE } from './id-memory.ts'

/*
 * The protocol of one input partition, without I/O: records go in, commands come out, and what
 * became of the commands goes in again. What it keeps to (design: the stage engine):
 *
 * 1. Records are folded in offset order; running is apart from folding.
 * 2. A record is finished when nothing of it would be lost if the process died: its results are
 *    acknowledged, or the own record that carries on is.
 * 3. An own record of a generation older than the last owner record before it counts for nothing.
 * 4. The first outcome of a task in log order counts; so does the first joined or timeout record of
 *    a join.
 * 5. A join is open from its first part until its joined record has been read back and every edge
 *    has delivered. Look for the open join first, and among the ids second.
 * 6. The event of a written outcome is made when the outcome is read back, never earlier.
 * 7. Unfinished records are bounded, so the commit metadata always fits its limit.
 */

/** A record of the partition, verified and parsed; `value` is JSON text. */
export type Incoming = {
  readonly offset: number
  /** Broker time of the append, epoch milliseconds. */
  readonly timestampMs: number
  readonly envelope: Envelope
  readonly plan: Plan
  readonly step: PlanStep
  readonly value: string
}

export type Task = {
  readonly offset: number
  readonly timestampMs: number
  readonly id: string
  readonly attempt: number
  readonly of: 'data' | 'joined'
  readonly plan: Plan
  readonly step: PlanStep
  readonly envelope: Envelope
  /** The input, or for `joined` a `JoinedBody`, as JSON text. */
  readonly value: string
  readonly notBefore: number
  /** writing: its outcome is being appended or read back; retrying: its next attempt is being appended. */
  state: 'ready' | 'parked' | 'running' | 'writing' | 'retrying' | 'sending' | 'gone'
}

export type Timing = { readonly waitMs: number; readonly workMs: number }

/** How a handler's attempt ended: with a result, or with an error that another attempt may mend. */
export type TaskEnd =
  | { readonly end: 'result'; readonly result: TaskResult }
  | { readonly end: 'retry'; readonly error: TaskError; readonly retryAfterMs?: number }

/** A report, with the envelope whose identity it shares. */
export type Reported = {
  readonly envelope: Envelope
  readonly step: PlanStep
  readonly report: TaskReport
}

/** A task that failed for good: kept with all that is needed to run it again. */
export type DeadLetter = {
  readonly envelope: Envelope
  readonly value: string
  readonly error: TaskError
}

export type Command =
  /** Append to this very partition; answer with `appended(token)`. */
  | {
      readonly do: 'append'
      readonly token: number
      readonly key: string
      /** `traceparent` and the proof by the stage's key are the caller's to add. */
      readonly envelope: Envelope
      readonly value: string
      readonly report: Reported | null
      readonly deadLetter: DeadLetter | null
      readonly task: Task | null
    }
  /** Produce all of it, then answer with `sent(token)`. */
  | {
      readonly do: 'send'
      readonly token: number
      readonly source: Envelope
      readonly messages: readonly OutputMessage[]
      readonly report: Reported | null
      readonly deadLetter: DeadLetter | null
      readonly task: Task | null
    }
  | { readonly do: 'ready'; readonly task: Task }
  | { readonly do: 'abort'; readonly task: Task; readonly reason: 'fenced' | 'superseded' }

export type PartitionOptions = {
  readonly generation: number
  /** Offset to go on at, and what was committed beside it. */
  readonly committed: number
  readonly metadata: CommitMetadata | undefined
  readonly horizonMs: number
  /** The stage declares that the same input always gives the same outcome. */
  readonly deterministic: boolean
  readonly isFenced: (job: string, run: number) => boolean
  readonly retryDelayMs: (policy: RetryPolicy, attempt: number) => number
  /** Bytes that open joins of this partition may hold. */
  readonly joinBytesMax: number
  /** How many messages of a fan-out may be under way to a stage at once. */
  readonly instalmentOf: (stage: string) => number
}

export type PartitionCounters = {
  duplicates: number
  late: number
  zombies: number
  absorbed: number
  expired: number
}

/** Unfinished records a partition may hold; with it the commit metadata stays below its 4 KiB. */
export const UNFINISHED_MAX = 320

export type CommitPoint = { readonly offset: number; readonly metadata: CommitMetadata }

export type Partition = {
  readonly counters: PartitionCounters
  /** Offset of the record to fold next. */
  readonly position: number
  /** True while no further record may be folded: too many are unfinished or parked. */
  readonly full: boolean
  /** Where the refill starts; fold from there. */
  readonly restoreFrom: number
  readonly openJoins: number
  /** Bytes that open joins hold. */
  readonly openJoinBytes: number
  readonly unfinished: number
  fold(record: Incoming, nowMs: number): void
  /** Kept over to the next generation: own records carry it from now on. */
  adopt(generation: number): void
  /** Counts a record that is not ours; it is unfinished until `finish`. */
  foldForeign(offset: number, timestampMs: number): void
  /** Finishes a record that was folded as foreign. */
  finish(offset: number): void
  /** To be called once the position has reached `committed`: fires what a crash kept from firing. */
  endRefill(): void
  /** Marks a task as running; false where it is no longer to be run. */
  start(task: Task): boolean
  end(task: Task, end: TaskEnd, timing: Timing, nowMs: number): void
  appended(token: number): void
  sent(token: number): void
  fence(job: string, run: number): void
  /** Timers: parked retries that are due, joins whose time is up. Gives the next time to call. */
  tick(nowMs: number): number | null
  /** What to commit; null during the refill, when the open joins are not known yet. */
  commitPoint(): CommitPoint | null
  /** The commands since the last call, in order. */
  take(): Command[]
}

type Sending = {
  readonly offset: number
  readonly source: Envelope
  readonly rest: Iterator<OutputMessage>
  readonly task: Task | null
  /** Noted as done when all is acknowledged. */
  readonly doneId: string
}

const runKeyOf = (envelope: Envelope) => `${envelope.job}/${envelope.meta.run}`

/** The path of the task that a message leads to: its item path, cut to the step's depth. */
function taskItemOf(step: PlanStep, item: string): string {
  return item.split('.', step.scope.length).join('.')
}

function outcomeIdOf(envelope: Envelope): string {
  const { meta } = envelope
  return ownMessageId(envelope.job, meta.run, 'outcome', meta.step, meta.item)
}

export function createPartition(options: PartitionOptions): Partition {
  const { committed, metadata } = options
  let { generation } = options
  const restoreFrom = metadata?.restoreFrom ?? committed
  const openFrom = metadata?.openFrom ?? committed
  const watermark = createWatermark(restoreFrom)
  const times = createTimeIndex()
  const ids = createIdMemory(options.horizonMs)
  const finishedBefore = metadata?.finished ?? []
  /** After the last record that the owner before had finished: all that it knew has been read. */
  const restoredAt = finishedBefore.reduce((_, [first, length]) => first + length, committed)
  const joins = new Map<string, OpenJoin>()
  const joinsByRun = new Map<string, Set<string>>()
  const tasks = new Map<string, Task>()
  const parked = new Set<Task>()
  /** Records of newer attempts that wait for an older one, which is decided, to be safe. */
  const overtaken = new Map<Task, readonly number[]>()
  /** Outcomes that have been read and are being sent. */
  const outcomes = new Set<string>()
  const pending = new Map<number, () => void>()
  const sendings = new Map<number, Sending>()
  const counters: PartitionCounters = {
    duplicates: 0,
    late: 0,
    zombies: 0,
    absorbed: 0,
    expired: 0,
  }
  /** Joins that a late part has completed, to be written down with the next commit. */
  let toClose: { readonly key: string; readonly own: Envelope }[] = []
  let commands: Command[] = []
  let tokens = 0
  let logGeneration = metadata?.generation ?? 0
  let beyond = 0
  let refilling = true
  /** No join fires until all that the owner before had finished is read: that may have ended it. */
  let restoring = true
  let joinBytes = 0

  const wasFinished = (offset: number): boolean => {
    if (offset < committed) return true
    while (beyond < finishedBefore.length) {
      const [first, length] = finishedBefore[beyond] as readonly [number, number]
      if (offset < first) return false
      if (offset < first + length) return true
      beyond += 1
    }
    return false
  }

  const runIsOver = (envelope: Envelope, nowMs: number): boolean => {
    if (options.isFenced(envelope.job, envelope.meta.run)) {
      counters.absorbed += 1
      return true
    }
    if (envelope.meta.notAfter <= nowMs) {
      counters.expired += 1
      return true
    }
    return false
  }

  const append = (
    envelope: Envelope,
    value: string,
    onAck: () => void,
    extra: { report?: Reported; deadLetter?: DeadLetter | null; task?: Task } = {},
  ) => {
    tokens += 1
    pending.set(tokens, onAck)
    const { job, meta } = envelope
    commands.push({
      do: 'append',
      token: tokens,
      key: recordKey(job, meta.run, meta.step, meta.item),
      envelope: { ...envelope, meta: { ...meta, gen: generation } },
      value,
      report: extra.report ?? null,
      deadLetter: extra.deadLetter ?? null,
      task: extra.task ?? null,
    })
  }

  /** Sends what follows from a result, in instalments; the event goes out with the first. */
  const send = (sending: Sending, report: Reported | null, deadLetter: DeadLetter | null): void => {
    const messages: OutputMessage[] = []
    if (!options.isFenced(sending.source.job, sending.source.meta.run)) {
      let room = Number.POSITIVE_INFINITY
      let bytes = 0
      while (messages.length < room && bytes < limits.outputBytes) {
        const next = sending.rest.next()
        if (next.done === true) break
        messages.push(next.value)
        bytes += next.value.payload.length
        room = Math.min(room, Math.max(1, options.instalmentOf(next.value.target.stage)))
      }
    }
    if (messages.length === 0 && report === null && deadLetter === null) {
      settle(sending)
      return
    }
    tokens += 1
    const token = tokens
    sendings.set(token, sending)
    commands.push({
      do: 'send',
      token,
      source: sending.source,
      messages,
      report,
      deadLetter,
      task: sending.task,
    })
  }

  const settle = (sending: Sending) => {
    ids.note(sending.doneId, DONE)
    outcomes.delete(sending.doneId)
    if (sending.task === null) watermark.finish(sending.offset)
    else {
      drop(sending.task)
      finishTask(sending.task)
    }
  }

  /** Finishes a task's record, and those of newer attempts that came after it was decided. */
  const finishTask = (task: Task) => {
    watermark.finish(task.offset)
    for (const offset of overtaken.get(task) ?? []) watermark.finish(offset)
    overtaken.delete(task)
  }

  const drop = (task: Task) => {
    task.state = 'gone'
    parked.delete(task)
    if (tasks.get(task.id) === task) tasks.delete(task.id)
  }

  /** Ends a task whose record needs no more: absorbed, superseded, or carried on by an own record. */
  const dismiss = (task: Task, reason: 'fenced' | 'superseded') => {
    if (task.state === 'running') commands.push({ do: 'abort', task, reason })
    drop(task)
    finishTask(task)
  }

  const reportOf = (
    task: { envelope: Envelope; step: PlanStep; plan: Plan },
    result: TaskResult,
    body: Pick<OutcomeBody, 'attempt' | 'waitMs' | 'workMs' | 'took' | 'missing'>,
    digest: string | undefined,
    nowMs: number,
  ): Reported => {
    const statuses = {
      ok: 'completed',
      skip: 'skipped',
      cancel: 'cancelled',
      fail: 'failed',
    } as const
    const fanOut = fanOutOf(task.plan, task.step, result)
    const report: TaskReport = {
      item: task.envelope.meta.item,
      status: statuses[result.status],
      attempt: body.attempt,
      at: nowMs,
      waitMs: body.waitMs,
      workMs: body.workMs,
      ...(body.took.length > 0 && { took: body.took }),
      ...(body.missing.length > 0 && { missing: body.missing }),
      ...(fanOut !== undefined && { fanOut }),
      ...(result.status === 'ok' && {
        digest,
        output: result.output,
        outputBytes: Buffer.byteLength(result.output),
      }),
      ...(result.status === 'ok' && result.taken !== null && { taken: result.taken }),
      ...((result.status === 'skip' || result.status === 'cancel') && { reason: result.reason }),
      ...(result.status === 'skip' && result.failedBefore && { failedBefore: true }),
      ...(result.status === 'fail' && { error: result.error }),
    }
    return { envelope: task.envelope, step: task.step, report }
  }

  const isWritten = (step: PlanStep) =>
    step.writeOutcome === 'always' ||
    (step.writeOutcome === 'unless_deterministic' && !options.deterministic)

  /** A task has its final result: write it down first, or send it at once (invariant 2). */
  const decide = (task: Task, given: TaskResult, timing: Timing, nowMs: number) => {
    const fault = faultOfOutput(task.plan, task.step, given)
    const result: TaskResult = fault === undefined ? given : { status: 'fail', error: fault }
    const { envelope, step, plan } = task
    const body: OutcomeBody = {
      v: 1,
      result,
      attempt: task.attempt,
      ...timing,
      ...tookBy(task),
    }
    const deadLetter =
      result.status === 'fail' && task.state === 'running'
        ? { envelope, value: task.value, error: result.error }
        : null
    if (isWritten(step)) {
      task.state = 'writing'
      const { gen: _gen, mac: _mac, of: _of, notBefore: _due, digest: _, ...rest } = envelope.meta
      const meta: MessageMeta = { ...rest, kind: 'outcome', edge: -1, attempt: task.attempt }
      const own: Envelope = {
        ...envelope,
        id: outcomeIdOf(envelope) as Envelope['id'],
        cause: task.id,
        meta,
      }
      // Finished on the acknowledgement; the task stays known until the outcome is read back.
      append(own, JSON.stringify(body), () => finishTask(task), { deadLetter, task })
      return
    }
    task.state = 'sending'
    const digest = result.status === 'ok' ? digestOf(result.output) : undefined
    const source = { plan, step, job: envelope.job, run: envelope.meta.run, ...itemOf(envelope) }
    send(
      {
        offset: task.offset,
        source: envelope,
        rest: outputsOf(source, result, digest),
        task,
        doneId: task.id,
      },
      reportOf(task, result, body, digest, nowMs),
      deadLetter,
    )
  }

  const itemOf = (envelope: Envelope) => ({
    item: envelope.meta.item,
    counts: envelope.meta.counts,
  })

  const tookBy = (task: Task): Pick<OutcomeBody, 'took' | 'missing'> => {
    if (task.of === 'joined') {
      const { took, missing } = JSON.parse(task.value) as JoinedBody
      return { took, missing }
    }
    const { meta } = task.envelope
    const edge = task.plan.edges[meta.edge]
    const source = edge?.from == null ? undefined : stepOf(task.plan, edge.from)
    // What was written down before it was sent cannot differ from what its sender reported.
    if (source === undefined || source.writeOutcome === 'always') return { took: [], missing: [] }
    // A marker has no digest: its kind says what was taken.
    const isMarker = meta.kind === 'skipped' || meta.kind === 'failed'
    const digest = isMarker ? meta.kind : (meta.digest ?? digestOf(task.value))
    return { took: [[meta.edge, meta.item, digest]], missing: [] }
  }

  const schedule = (task: Task, nowMs: number) => {
    tasks.set(task.id, task)
    if (task.notBefore > nowMs) {
      task.state = 'parked'
      parked.add(task)
    } else {
      task.state = 'ready'
      commands.push({ do: 'ready', task })
    }
  }

  // ——— folding ———

  const foldMessage = (record: Incoming, nowMs: number) => {
    const { envelope, offset } = record
    const { meta } = envelope
    if (wasFinished(offset)) {
      ids.note(envelope.id, meta.attempt)
      watermark.finish(offset)
      return
    }
    if (runIsOver(envelope, nowMs)) {
      watermark.finish(offset)
      return
    }
    const current = tasks.get(envelope.id)
    const isKnown = current !== undefined && current.attempt >= meta.attempt
    if (isKnown || ids.attemptOf(envelope.id) >= meta.attempt) {
      counters.duplicates += 1
      watermark.finish(offset)
      return
    }
    if (current?.state === 'writing' || current?.state === 'sending') {
      // Decided, but not safe yet: would this attempt pass for finished and the process die, the
      // next owner would run the older one and take the attempt after it for a duplicate.
      counters.duplicates += 1
      overtaken.set(current, [...(overtaken.get(current) ?? []), offset])
      return
    }
    // A newer attempt in the log ends older ones unrun: whether they count was decided when it was written.
    if (current !== undefined) dismiss(current, 'superseded')
    const of = meta.kind === 'joined' ? 'joined' : (meta.of ?? 'data')
    const task: Task = {
      offset,
      timestampMs: record.timestampMs,
      id: envelope.id,
      attempt: meta.attempt,
      of,
      plan: record.plan,
      step: record.step,
      envelope,
      value: record.value,
      notBefore: meta.notBefore ?? 0,
      state: 'ready',
    }
    if (meta.kind === 'skipped' || meta.kind === 'failed') {
      tasks.set(task.id, task)
      const failedBefore = meta.kind === 'failed'
      const reason = failedBefore ? 'an input failed' : 'the input was skipped'
      decide(task, { status: 'skip', reason, failedBefore }, noWork, nowMs)
      return
    }
    if (of === 'joined' && meta.kind === 'joined') {
      const { decision } = JSON.parse(record.value) as JoinedBody
      if (decision.do !== 'run') {
        tasks.set(task.id, task)
        decide(task, resultOf(decision), noWork, nowMs)
        return
      }
    }
    schedule(task, nowMs)
  }

  const foldPart = (record: Incoming, nowMs: number) => {
    const { envelope, offset, plan, step } = record
    const past = wasFinished(offset)
    watermark.finish(offset)
    const over = past
      ? options.isFenced(envelope.job, envelope.meta.run) || envelope.meta.notAfter <= nowMs
      : runIsOver(envelope, nowMs)
    if (over) return
    const item = taskItemOf(step, envelope.meta.item)
    const key = recordKey(envelope.job, envelope.meta.run, step.name, item)
    let join = joins.get(key)
    if (join === undefined) {
      if (ids.attemptOf(key) > 0) {
        counters.duplicates += 1
        return
      }
      if (past && offset < openFrom) {
        // Its join had ended when this was committed, else openFrom would not lie behind it.
        ids.note(key, DONE)
        return
      }
      join = openJoin(key, plan, step, item, envelope, offset, record.timestampMs)
      joins.set(key, join)
      const runKey = runKeyOf(envelope)
      const ofRun = joinsByRun.get(runKey) ?? new Set()
      joinsByRun.set(runKey, ofRun.add(key))
    }
    const before = join.bytes
    if (!addPart(join, envelope, record.value)) {
      counters.duplicates += 1
      return
    }
    joinBytes += join.bytes - before
    if (joinBytes > options.joinBytesMax && !restoring) failYoungest()
    if (join.state === 'decided') {
      if (!past) counters.late += 1
      closeIfDelivered(join)
    } else if (!restoring) {
      fireIfDecided(join)
    }
  }

  const fireIfDecided = (join: OpenJoin) => {
    if (join.state !== 'open') return
    const decision = decideJoin(join)
    if (decision !== null) fire(join, decision)
  }

  /** The memory of open joins is bounded: the one that has waited least gives way. */
  const failYoungest = () => {
    for (const join of [...joins.values()].reverse()) {
      if (join.state !== 'open') continue
      fire(join, { do: 'fail', error: joinFailure('joins_too_large', join.step.name) })
      return
    }
  }

  const fire = (join: OpenJoin, wanted: JoinDecision, kind: 'joined' | 'timeout' = 'joined') => {
    join.state = 'firing'
    const composed = composeInput(join)
    const decision: JoinDecision =
      wanted.do === 'run' && composed.tooLarge
        ? { do: 'fail', error: joinFailure('gather_too_large', join.step.name) }
        : wanted
    const head: JoinedBody = {
      v: 1,
      decision,
      manifest: composed.manifest,
      took: composed.took,
      missing: composed.missing,
      ...(composed.links.length > 0 && { links: composed.links }),
    }
    const text = JSON.stringify(head)
    const value = decision.do === 'run' ? `${text.slice(0, -1)},"input":${composed.input}}` : text
    release(join)
    append(ownOf(join, kind), value, () => {})
  }

  const release = (join: OpenJoin) => {
    joinBytes -= join.bytes
    releasePayloads(join)
  }

  /** Envelope of a record that stands for a whole join: that of its last part, moved to the join's item. */
  const ownOf = (join: OpenJoin, kind: 'joined' | 'timeout' | 'closed'): Envelope => {
    const { last, item, step } = join
    const { digest: _, ...rest } = last.meta
    const meta: MessageMeta = {
      ...rest,
      kind,
      edge: -1,
      item,
      counts: last.meta.counts.slice(0, step.scope.length),
      attempt: 1,
    }
    const id = ownMessageId(last.job, last.meta.run, kind, step.name, item)
    return { ...last, id, cause: last.id, meta }
  }

  const closeJoin = (key: string) => {
    const join = joins.get(key)
    ids.note(key, DONE)
    if (join === undefined) return
    joins.delete(key)
    joinBytes -= join.bytes
    const runKey = runKeyOf(join.last)
    const ofRun = joinsByRun.get(runKey)
    ofRun?.delete(key)
    if (ofRun?.size === 0) joinsByRun.delete(runKey)
  }

  /** A late part has come last: the end of the join is written down, and it is open until that is read. */
  const closeIfDelivered = (join: OpenJoin) => {
    if (join.waitsForLate && allDelivered(join) && !restoring) {
      join.waitsForLate = false
      toClose.push({ key: join.key, own: ownOf(join, 'closed') })
    }
  }

  /** Reading back what ends the waiting of a join: the first such record in the log counts. */
  const decideByLog = (record: Incoming): boolean => {
    const { envelope, step } = record
    const key = recordKey(envelope.job, envelope.meta.run, step.name, envelope.meta.item)
    const join = joins.get(key)
    if (join === undefined) {
      const known = ids.attemptOf(key) > 0
      ids.note(key, DONE)
      return !known
    }
    if (join.state === 'decided') return false
    release(join)
    join.state = 'decided'
    join.timeoutAt = null
    return true
  }

  const foldJoined = (record: Incoming, nowMs: number) => {
    const { envelope, offset } = record
    const past = wasFinished(offset)
    const key = recordKey(envelope.job, envelope.meta.run, record.step.name, envelope.meta.item)
    const first = decideByLog(record)
    const { missing } = JSON.parse(record.value) as JoinedBody
    if (first) {
      const join = joins.get(key)
      if (missing.length === 0) closeJoin(key)
      else if (join !== undefined) {
        join.waitsForLate = true
        closeIfDelivered(join)
      }
    }
    if (past || first) {
      foldMessage(record, nowMs)
      return
    }
    // Not the first: a duplicate, unless this owner knows the join as closed only from the refill.
    const { job, meta } = envelope
    const timeout = ownMessageId(job, meta.run, 'timeout', meta.step, meta.item)
    const isKnown = [envelope.id, timeout].some((id) => tasks.has(id) || ids.attemptOf(id) > 0)
    if (!joins.has(key) && !isKnown) {
      foldMessage(record, nowMs)
      return
    }
    counters.duplicates += 1
    watermark.finish(offset)
  }

  const foldTimeout = (record: Incoming, nowMs: number) => {
    const { envelope, offset, step } = record
    const key = recordKey(envelope.job, envelope.meta.run, step.name, envelope.meta.item)
    const past = wasFinished(offset)
    const open = joins.has(key)
    const first = open && decideByLog(record)
    if (first) {
      const join = joins.get(key) as OpenJoin
      join.waitsForLate = true
      closeIfDelivered(join)
    }
    if (past || !first) {
      if (past) ids.note(envelope.id, DONE)
      else counters.duplicates += 1
      watermark.finish(offset)
      return
    }
    if (runIsOver(envelope, nowMs)) {
      watermark.finish(offset)
      return
    }
    const task: Task = {
      offset,
      timestampMs: record.timestampMs,
      id: envelope.id,
      attempt: 1,
      of: 'joined',
      plan: record.plan,
      step,
      envelope,
      value: record.value,
      notBefore: 0,
      state: 'ready',
    }
    tasks.set(task.id, task)
    decide(task, { status: 'fail', error: joinFailure('join_timeout', step.name) }, noWork, nowMs)
  }

  const foldOutcome = (record: Incoming, nowMs: number) => {
    const { envelope, offset, plan, step } = record
    const taskId = envelope.cause
    const past = wasFinished(offset)
    if (!past && (outcomes.has(envelope.id) || ids.attemptOf(envelope.id) > 0)) {
      counters.duplicates += 1
      watermark.finish(offset)
      return
    }
    const task = tasks.get(taskId)
    if (task !== undefined) dismiss(task, 'superseded')
    ids.note(taskId, DONE)
    if (past) {
      ids.note(envelope.id, DONE)
      watermark.finish(offset)
      return
    }
    if (runIsOver(envelope, nowMs)) {
      watermark.finish(offset)
      return
    }
    outcomes.add(envelope.id)
    const body = JSON.parse(record.value) as OutcomeBody
    const digest = body.result.status === 'ok' ? digestOf(body.result.output) : undefined
    const source = { plan, step, job: envelope.job, run: envelope.meta.run, ...itemOf(envelope) }
    send(
      {
        offset,
        source: envelope,
        rest: outputsOf(source, body.result, digest),
        task: null,
        doneId: envelope.id,
      },
      reportOf({ envelope, step, plan }, body.result, body, digest, nowMs),
      null,
    )
  }

  /** Fires what a crash kept from firing, once all is read that could say otherwise. */
  const endRestore = () => {
    if (!restoring || refilling || watermark.next < restoredAt) return
    restoring = false
    for (const join of [...joins.values()]) {
      if (join.state === 'decided') closeIfDelivered(join)
      else fireIfDecided(join)
    }
  }

  const fold = (record: Incoming, nowMs: number) => {
    foldRecord(record, nowMs)
    endRestore()
  }

  const foldRecord = (record: Incoming, nowMs: number) => {
    const { envelope, offset } = record
    const { meta } = envelope
    watermark.begin(offset)
    times.add(offset, record.timestampMs, logGeneration)
    ids.age(record.timestampMs)
    if (meta.kind === 'owner') {
      logGeneration = Math.max(logGeneration, meta.gen ?? 0)
      watermark.finish(offset)
      return
    }
    if (meta.gen !== undefined && meta.gen < logGeneration) {
      counters.zombies += 1
      watermark.finish(offset)
      return
    }
    switch (meta.kind) {
      case 'data':
      case 'skipped':
      case 'failed':
      case 'empty':
        if (record.step.join !== null) foldPart(record, nowMs)
        else foldMessage(record, nowMs)
        return
      case 'retry':
        foldMessage(record, nowMs)
        return
      case 'joined':
        foldJoined(record, nowMs)
        return
      case 'timeout':
        foldTimeout(record, nowMs)
        return
      case 'outcome':
        foldOutcome(record, nowMs)
        return
      case 'closed':
        for (const key of (JSON.parse(record.value) as ClosedBody).keys) closeJoin(key)
        watermark.finish(offset)
        return
      default:
        meta.kind satisfies never
    }
  }

  /** Finished stretches of the owner before that this one has not reached yet: they stay listed. */
  const notReadAgain = () =>
    finishedBefore.flatMap(([first, length]): [number, number][] => {
      const from = Math.max(first, watermark.next)
      return from < first + length ? [[from, first + length - from]] : []
    })

  /** Tasks that nobody has taken up yet; bounded by what may be unfinished. */
  const ready = (): number => {
    let count = 0
    for (const { state } of tasks.values()) if (state === 'ready') count += 1
    return count
  }

  const oldestOpen = (): number => {
    let oldest = watermark.offset
    for (const join of joins.values()) oldest = Math.min(oldest, join.firstOffset)
    return oldest
  }

  return {
    counters,
    restoreFrom,
    get position() {
      return watermark.next
    },
    get full() {
      return (
        watermark.unfinished >= UNFINISHED_MAX || parked.size >= limits.parkedRetriesPerPartition
      )
    },
    get openJoins() {
      return joins.size
    },
    get openJoinBytes() {
      return joinBytes
    },
    get unfinished() {
      return watermark.unfinished
    },
    fold,
    adopt(next) {
      generation = next
    },
    foldForeign(offset, timestampMs) {
      watermark.begin(offset)
      times.add(offset, timestampMs, logGeneration)
      if (wasFinished(offset)) watermark.finish(offset)
      endRestore()
    },
    finish(offset) {
      watermark.finish(offset)
    },
    endRefill() {
      refilling = false
      endRestore()
    },
    start(task) {
      if (task.state !== 'ready') return false
      if (options.isFenced(task.envelope.job, task.envelope.meta.run)) {
        counters.absorbed += 1
        dismiss(task, 'fenced')
        return false
      }
      task.state = 'running'
      return true
    },
    end(task, end, timing, nowMs) {
      if (task.state !== 'running') return
      const { envelope, step } = task
      const { meta } = envelope
      if (end.end === 'result') {
        decide(task, end.result, timing, nowMs)
        return
      }
      const spends = end.error.class !== 'overload'
      const delayMs = end.retryAfterMs ?? options.retryDelayMs(step.retry, task.attempt)
      const retryAt = nowMs + delayMs
      if ((spends && task.attempt >= step.retry.attempts) || retryAt >= meta.notAfter) {
        decide(task, { status: 'fail', error: end.error }, timing, nowMs)
        return
      }
      const { gen: _gen, mac: _mac, history = [], ...rest } = meta
      const next: MessageMeta = {
        ...rest,
        kind: 'retry',
        of: task.of,
        attempt: task.attempt + 1,
        notBefore: retryAt,
        history: [...history, { attempt: task.attempt, code: end.error.code, at: nowMs }].slice(
          -10,
        ),
      }
      const report: TaskReport = {
        item: meta.item,
        status: 'retry',
        attempt: task.attempt,
        at: nowMs,
        ...timing,
        error: end.error,
        retryAt,
      }
      task.state = 'retrying'
      const onAck = () => {
        ids.note(task.id, task.attempt)
        drop(task)
        watermark.finish(task.offset)
      }
      append({ ...envelope, cause: task.id, meta: next }, task.value, onAck, {
        report: { envelope, step, report },
        task,
      })
    },
    appended(token) {
      const onAck = pending.get(token)
      pending.delete(token)
      onAck?.()
    },
    sent(token) {
      const sending = sendings.get(token)
      if (sending === undefined) return
      sendings.delete(token)
      send(sending, null, null)
    },
    fence(job, run) {
      for (const task of [...tasks.values()]) {
        if (task.envelope.job !== job || task.envelope.meta.run !== run) continue
        if (task.state === 'ready' || task.state === 'parked' || task.state === 'running') {
          counters.absorbed += 1
          dismiss(task, 'fenced')
        }
      }
      for (const key of [...(joinsByRun.get(`${job}/${run}`) ?? [])]) closeJoin(key)
    },
    tick(nowMs) {
      let next: number | null = null
      const wake = (at: number) => {
        next = next === null ? at : Math.min(next, at)
      }
      for (const task of [...parked]) {
        if (task.envelope.meta.notAfter <= nowMs) {
          counters.expired += 1
          dismiss(task, 'fenced')
        } else if (task.notBefore <= nowMs) {
          parked.delete(task)
          task.state = 'ready'
          commands.push({ do: 'ready', task })
        } else wake(task.notBefore)
      }
      if (restoring) return next
      for (const join of [...joins.values()]) {
        if (join.last.meta.notAfter <= nowMs) {
          counters.expired += 1
          closeJoin(join.key)
          continue
        }
        if (join.state !== 'open' || join.timeoutAt === null) continue
        if (join.timeoutAt > nowMs) wake(join.timeoutAt)
        else if (mayRunPartially(join)) fire(join, { do: 'run' })
        else
          fire(join, { do: 'fail', error: joinFailure('join_timeout', join.step.name) }, 'timeout')
      }
      return next
    },
    commitPoint() {
      if (refilling) return null
      if (toClose.length > 0) {
        const body: ClosedBody = { v: 1, keys: toClose.map(({ key }) => key) }
        append((toClose[0] as (typeof toClose)[0]).own, JSON.stringify(body), () => {})
        toClose = []
      }
      const offset = Math.max(watermark.offset, committed)
      const open = Math.min(oldestOpen(), offset)
      const from = times.firstNotOlder(times.timeAt(open) - options.horizonMs, open)
      times.forgetBefore(from.offset)
      return {
        offset,
        metadata: {
          openFrom: open,
          restoreFrom: from.offset,
          generation: from.generation,
          finished: [...watermark.finishedBeyond(), ...notReadAgain()],
          started: watermark.unfinished - ready(),
        },
      }
    },
    take() {
      const taken = commands
      commands = []
      return taken
    },
  }
}

const noWork: Timing = { waitMs: 0, workMs: 0 }

function resultOf(decision: Exclude<JoinDecision, { do: 'run' }>): TaskResult {
  return decision.do === 'fail'
    ? { status: 'fail', error: decision.error }
    : { status: 'skip', reason: decision.reason, failedBefore: decision.failedBefore }
}
