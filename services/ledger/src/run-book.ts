import type { JobEvent, Plan, RunReports, TaskReport } from '@weir/contracts'
import {
  acceptReport,
  type CancelOrder,
  cancelRequested,
  decideRun,
  foldEvent,
  heldSlots,
  indexRun,
  isStepReported,
  type NewEvent,
  needsFence,
  type RunDecision,
  type RunState,
  startRun,
  terminalEvent,
} from '@weir/core'
import type { LoadedRun } from '@weir/postgres'

/** A run that has been decided while work of it may still go on: it ends when its fence is obeyed. */
export type Ending = {
  readonly decision: RunDecision
  readonly decidedAt: number
  /** Offset of its fence on `weir.control`; null until that is acknowledged. */
  fenceOffset: number | null
}

/** What the ledger holds of a run in flight: its state, and the events that are not written yet. */
export type RunBook = {
  readonly tenant: string
  readonly job: string
  readonly run: number
  readonly plan: Plan
  readonly pipeline: string
  readonly orderingKey: string | null
  readonly claimedAt: number
  readonly notAfter: number
  readonly state: RunState
  /** Number of the last event. */
  seq: number
  unwritten: JobEvent[]
  unwrittenBytes: number
  /** Arrival of the first unwritten event, and the offset of the record that led to it. */
  unwrittenSince: number
  unwrittenFrom: number
  /** Contents of artifacts that are written, by step, item and digest. */
  readonly stored: Set<string>
  ending: Ending | null
  ended: boolean
  /** The log tells that somebody asked to cancel the run. */
  isCancelKnown: boolean
  /** Context of the latest report, for the ledger's own span. */
  traceparent: string
  correlation: string
}

const at = (ms: number) => new Date(ms).toISOString()

/** Opens the book of a run from what Postgres has of it. */
export function openBook(loaded: LoadedRun, plan: Plan): RunBook {
  const state = startRun(plan)
  let isCancelKnown = false
  for (const chunk of loaded.chunks) {
    for (const event of JSON.parse(chunk.events) as JobEvent[]) {
      foldEvent(state, plan, event)
      isCancelKnown ||= event.type === 'job.cancel_requested' && event.run === loaded.run
    }
  }
  return {
    tenant: loaded.tenant,
    job: loaded.job,
    run: loaded.run,
    plan,
    pipeline: loaded.pipeline,
    orderingKey: loaded.orderingKey,
    claimedAt: loaded.claimedAt ?? 0,
    notAfter: loaded.notAfter ?? 0,
    state,
    seq: loaded.lastSeq,
    unwritten: [],
    unwrittenBytes: 0,
    unwrittenSince: 0,
    unwrittenFrom: 0,
    stored: new Set(),
    ending: null,
    ended: false,
    isCancelKnown,
    traceparent: '',
    correlation: loaded.correlationId,
  }
}

/** Numbers an event and folds it into the run's state. */
export function appendEvent(book: RunBook, event: NewEvent, offset: number, nowMs: number): void {
  book.seq += 1
  const numbered: JobEvent = { seq: book.seq, ...event }
  foldEvent(book.state, book.plan, numbered)
  if (book.unwritten.length === 0) {
    book.unwrittenSince = nowMs
    book.unwrittenFrom = offset
    book.unwrittenBytes = 0
  }
  book.unwritten.push(numbered)
  book.unwrittenBytes += 200 + (event.data.output?.length ?? 0) + sizeOf(event.data.event?.data)
}

/** Roughly, of what a handler said. */
const sizeOf = (data: unknown): number => (data === undefined ? 0 : JSON.stringify(data).length)

/** The two events that every job's log starts with: the ledger alone numbers them. */
export function appendOpening(
  book: RunBook,
  loaded: LoadedRun,
  offset: number,
  nowMs: number,
): void {
  if (book.seq > 0) return
  const { run } = book
  appendEvent(
    book,
    { run, type: 'job.queued', at: at(loaded.submittedAt), data: {} },
    offset,
    nowMs,
  )
  appendEvent(
    book,
    { run, type: 'job.dispatched', at: at(book.claimedAt), data: {} },
    offset,
    nowMs,
  )
}

/**
 * Takes up that somebody asked to cancel the run: once, and while it has not ended. What was decided
 * before and not written yet follows from the log anew: a run that had failed stays failed, one that
 * was to complete, or was out of time, is cancelled.
 */
export function requestCancel(
  book: RunBook,
  { at: atMs, ...order }: CancelOrder & { readonly at: number },
  offset: number,
  nowMs: number,
): void {
  if (book.ended || book.isCancelKnown) return
  book.isCancelKnown = true
  appendEvent(book, cancelRequested(book.run, order, at(atMs)), offset, nowMs)
  const { ending } = book
  const decision = ending === null ? null : decideRun(book.state, book.plan)
  if (ending !== null && decision !== null) book.ending = { ...ending, decision }
}

/** Takes a report into the book. False where it changed nothing: late, doubled, or not of this run. */
export function takeReport(
  book: RunBook,
  reports: RunReports,
  report: TaskReport,
  offset: number,
  nowMs: number,
): boolean {
  // What was done before the stages heard of a cancel is kept: it is the fence that ends the work.
  if (book.ended || (book.ending !== null && !book.isCancelKnown)) return false
  const accepted = acceptReport(book.state, book.plan, reports.step, report, nowMs)
  for (const event of accepted.events) appendEvent(book, event, offset, nowMs)
  return accepted.events.length > 0
}

/**
 * The same run as it was before it ended, where that could not be written: its last event is taken
 * back, and what else was not written stands again behind what Postgres has.
 */
export function reopenBook(ended: RunBook, loaded: LoadedRun): RunBook {
  const book = openBook(loaded, ended.plan)
  book.traceparent = ended.traceparent
  for (const { seq: _, ...event } of ended.unwritten.slice(0, -1)) {
    appendEvent(book, event, ended.unwrittenFrom, ended.unwrittenSince)
  }
  return book
}

/** Decides whether the run is over; a run with work that may go on first needs its fence obeyed. */
export function decideBook(
  book: RunBook,
  offset: number,
  nowMs: number,
): 'goes_on' | 'over' | 'to_fence' {
  if (book.ended || book.ending !== null) return 'goes_on'
  const decision = decideRun(book.state, book.plan)
  if (decision === null) return 'goes_on'
  if (!needsFence(book.state, book.plan)) {
    endBook(book, decision, offset, nowMs)
    return 'over'
  }
  book.ending = { decision, decidedAt: nowMs, fenceOffset: null }
  return 'to_fence'
}

/** Writes the terminal event, the last of the run. */
export function endBook(book: RunBook, decision: RunDecision, offset: number, nowMs: number): void {
  book.ended = true
  appendEvent(book, terminalEvent(book.state, decision, at(nowMs)), offset, nowMs)
}

/** Names of the steps that have reported all their tasks. */
export function endedStepsOf(book: RunBook): string[] {
  return indexRun(book.plan)
    .steps.filter((index) => isStepReported(book.state, book.plan, index))
    .map((index) => index.step.name)
}

export function heldOf(book: RunBook): Record<string, number> {
  return heldSlots(book.state, book.plan)
}
