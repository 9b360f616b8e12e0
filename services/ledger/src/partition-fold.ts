import {
  type FenceRecord,
  fenceKey,
  isTerminal,
  type Plan,
  type RunChange,
  type RunReports,
  type TicketKey,
} from '@weir/contracts'
import type { KafkaRecord } from '@weir/kafka'
import type { CancelRequest, Fold, LoadedRun, NewArtifact, NewPayload } from '@weir/postgres'
import type { Instances } from './instances.ts'
import { isGenuine, type PayloadReport, readEventRecord } from './read-reports.ts'
import {
  appendOpening,
  decideBook,
  endBook,
  endedStepsOf,
  heldOf,
  openBook,
  type RunBook,
  reopenBook,
  requestCancel,
  takeReport,
} from './run-book.ts'

/*
 * The fold of one partition of the events topic, in memory between two commits. What it keeps to:
 *
 * 1. The offset that is committed never passes a record of which an event is not written.
 * 2. Folding a record twice changes nothing: the first report of a task counts.
 * 3. A run's terminal event is its last, and it is written once.
 */

/** Events of a run wait this long for more of it: a short job is written once, with its whole log. */
const HOLD_MS = 200
const HOLD_BYTES = 64 * 1024
/** Slots of younger runs are not worth an announcement: they are freed by their end. */
const HELD_AFTER_MS = 1_000
const SETTLE_MS = 4_000
/** A run whose handlers do not come back is ended all the same; their results are refused. */
const SETTLE_LIMIT_MS = 30_000
/** How long an output may wait for the first report of its run. */
const PAYLOAD_HOLD_MS = 10_000
const REMEMBERED_ENDS = 20_000

export type FoldCounters = {
  reports: number
  ignored: number
  forged: number
  unreadable: number
  late: number
}

export type RunKey = { readonly tenant: string; readonly job: string; readonly run: number }
export type ToFence = { readonly key: string; readonly record: FenceRecord; readonly book: RunBook }

export type PartitionFoldOptions = {
  readonly partition: number
  readonly owner: string
  readonly start: number
  readonly keys: readonly TicketKey[]
  readonly instances: Instances
  readonly load: (
    keys: readonly RunKey[],
  ) => Promise<{ runs: readonly LoadedRun[]; plans: ReadonlyMap<string, Plan> }>
}

export type PartitionFold = {
  readonly counters: FoldCounters
  /** Time (ms since the epoch) at which something is to be written or decided without a record. */
  readonly nextDue: number | null
  /** Takes runs into memory that are in flight already: what a crash kept from being decided. */
  adopt(loaded: readonly LoadedRun[], plans: ReadonlyMap<string, Plan>, nowMs: number): void
  read(records: readonly KafkaRecord[], nowMs: number): Promise<void>
  /** Ends runs whose time is up. */
  expire(keys: readonly RunKey[], nowMs: number): Promise<void>
  /** Fences and ends runs that somebody asked to cancel; the same again changes nothing. */
  cancel(requests: readonly CancelRequest[], nowMs: number): Promise<void>
  /** Takes back ends that were not written because somebody had asked to cancel the runs before. */
  reopen(fold: Fold, nowMs: number): Promise<void>
  /** Fences that have to be in Kafka before the next commit. */
  fences(): ToFence[]
  /** What is to be written now; `all` writes what could wait too. Null where there is nothing. */
  collect(
    nowMs: number,
    all: boolean,
  ): { fold: Fold; changes: RunChange[]; ended: RunBook[] } | null
  committed(fold: Fold): void
  readonly runs: number
}

const keyOf = (job: string, run: number) => `${job}/${run}`

export function createPartitionFold(options: PartitionFoldOptions): PartitionFold {
  const { partition, owner, keys, instances } = options
  const books = new Map<string, RunBook>()
  /** Runs that have ended, or are none: their reports are ignored without a look into Postgres. */
  const over = new Set<string>()
  const counters: FoldCounters = { reports: 0, ignored: 0, forged: 0, unreadable: 0, late: 0 }
  const dirty = new Set<RunBook>()
  const endings = new Set<RunBook>()
  /** Payloads of the fold that is being written. */
  let writing = new Set<PayloadReport>()
  let payloads: {
    readonly payload: PayloadReport
    readonly offset: number
    readonly readAt: number
  }[] = []
  let position = options.start
  let committedOffset = options.start

  const remember = (key: string) => {
    over.add(key)
    if (over.size > REMEMBERED_ENDS) {
      for (const old of over) {
        over.delete(old)
        if (over.size <= REMEMBERED_ENDS / 2) break
      }
    }
  }

  /** Never twice: a second book of a run would number its events once more. */
  const open = (
    loaded: LoadedRun,
    plan: Plan | undefined,
    wanted: number,
    offset: number,
    nowMs: number,
  ): RunBook | undefined => {
    const isOpen = loaded.status === 'open' && loaded.run === wanted && loaded.claimedAt !== null
    if (!isOpen || plan === undefined) {
      remember(keyOf(loaded.job, wanted))
      return undefined
    }
    const book = openBook(loaded, plan)
    if (isTerminal(book.state.status)) {
      remember(keyOf(loaded.job, wanted))
      return undefined
    }
    books.set(keyOf(book.job, book.run), book)
    appendOpening(book, loaded, offset, nowMs)
    // Before any report that comes after: what was asked before is not overtaken by it.
    if (loaded.cancel !== null) requestCancel(book, loaded.cancel, offset, nowMs)
    settleDecision(book, offset, nowMs)
    return book
  }

  const settleDecision = (book: RunBook, offset: number, nowMs: number) => {
    if (decideBook(book, offset, nowMs) === 'to_fence') endings.add(book)
    if (book.unwritten.length > 0) dirty.add(book)
  }

  const loadMissing = async (wanted: readonly RunKey[], nowMs: number, offset: number) => {
    const missing = new Map<string, RunKey>()
    for (const { tenant, job, run } of wanted) {
      const key = keyOf(job, run)
      if (!books.has(key) && !over.has(key)) missing.set(key, { tenant, job, run })
    }
    if (missing.size === 0) return
    const { runs, plans } = await options.load([...missing.values()])
    const found = new Map(runs.map((run) => [run.job, run]))
    for (const [key, { job, run }] of missing) {
      const loaded = found.get(job)
      if (loaded === undefined) {
        remember(key)
        continue
      }
      open(loaded, plans.get(loaded.planId), run, offset, nowMs)
    }
  }

  return {
    counters,
    get runs() {
      return books.size
    },
    get nextDue() {
      let due: number | null = null
      const at = (time: number) => {
        due = due === null ? time : Math.min(due, time)
      }
      for (const book of dirty) at(book.unwrittenSince + HOLD_MS)
      if (endings.size > 0) at(0)
      return due
    },
    adopt(loaded, plans, nowMs) {
      for (const run of loaded) {
        if (!books.has(keyOf(run.job, run.run))) {
          open(run, plans.get(run.planId), run.run, position, nowMs)
        }
      }
    },
    async read(records, nowMs) {
      // Verified first: nothing is looked up in Postgres for what is not genuine.
      const genuine: { offset: number; reports: RunReports }[] = []
      for (const record of records) {
        const event = readEventRecord(record)
        if (event.kind === 'unreadable') counters.unreadable += 1
        else if (event.kind === 'reports') {
          for (const reports of event.runs) {
            const isKnown = books.get(keyOf(reports.job, reports.run))?.tenant === reports.tenant
            if (isKnown || isGenuine(keys, reports))
              genuine.push({ offset: record.offset, reports })
            else counters.forged += 1
          }
        } else if (isGenuine(keys, event.claims)) {
          payloads.push({ payload: event.payload, offset: record.offset, readAt: nowMs })
        } else counters.forged += 1
      }
      // One that came late has no run any more; one that came early waits for its run, and holds the
      // offset while it does: its sender reports right after it, or sends it again.
      payloads = payloads.filter(
        ({ payload, readAt }) =>
          nowMs - readAt < PAYLOAD_HOLD_MS && !over.has(keyOf(payload.job, payload.run)),
      )
      const last = records.at(-1)
      const first = genuine[0]
      if (first !== undefined) {
        await loadMissing(
          genuine.map(({ reports }) => reports),
          nowMs,
          first.offset,
        )
      }
      const touched = new Map<RunBook, number>()
      for (const { offset, reports } of genuine) {
        const book = books.get(keyOf(reports.job, reports.run))
        if (book === undefined) {
          counters.late += reports.tasks.length
          continue
        }
        if (reports.tenant !== book.tenant || reports.plan !== book.plan.id) {
          counters.forged += 1
          continue
        }
        book.traceparent = reports.traceparent
        for (const report of reports.tasks) {
          counters.reports += 1
          if (!takeReport(book, reports, report, offset, nowMs)) counters.ignored += 1
        }
        touched.set(book, offset)
      }
      for (const [book, offset] of touched) settleDecision(book, offset, nowMs)
      if (last !== undefined) position = last.offset + 1
    },
    async expire(wanted, nowMs) {
      await loadMissing(wanted, nowMs, position)
      for (const { job, run } of wanted) {
        const book = books.get(keyOf(job, run))
        if (book === undefined || book.ended || book.ending !== null) continue
        book.ending = {
          decision: {
            status: 'failed',
            error: {
              code: 'deadline_exceeded',
              message: 'The run did not end before its deadline.',
              class: 'deadline',
              step: '',
              attempts: 0,
            },
            superseded: [],
          },
          decidedAt: nowMs,
          fenceOffset: null,
        }
        endings.add(book)
      }
    },
    async cancel(requests, nowMs) {
      await loadMissing(requests, nowMs, position)
      for (const request of requests) {
        const book = books.get(keyOf(request.job, request.run))
        if (book === undefined || book.isCancelKnown) continue
        requestCancel(book, request, position, nowMs)
        settleDecision(book, position, nowMs)
      }
    },
    async reopen({ ended }, nowMs) {
      const { runs } = await options.load(ended)
      for (const loaded of runs) {
        const key = keyOf(loaded.job, loaded.run)
        const before = books.get(key)
        if (loaded.cancel === null || before?.ended !== true || before.isCancelKnown) continue
        const book = reopenBook(before, loaded)
        dirty.delete(before)
        books.set(key, book)
        requestCancel(book, loaded.cancel, position, nowMs)
        settleDecision(book, position, nowMs)
      }
    },
    fences() {
      const fences: ToFence[] = []
      for (const book of endings) {
        if (book.ending?.fenceOffset !== null) continue
        const { status, error } = book.ending.decision
        const reason =
          status === 'cancelled' ? 'cancelled' : error?.class === 'deadline' ? 'deadline' : 'ended'
        fences.push({
          key: fenceKey(book.job, book.run),
          record: { v: 1, job: book.job, run: book.run, reason, notAfter: book.notAfter },
          book,
        })
      }
      return fences
    },
    collect(nowMs, all) {
      for (const book of endings) {
        const { ending } = book
        if (ending === null || ending.fenceOffset === null) continue
        const stages = new Set<string>(book.plan.steps.map((step) => step.stage))
        const state = instances.stateOf(stages, book.job, book.run, ending.fenceOffset, nowMs)
        const waited = nowMs - ending.decidedAt
        const isSettled =
          state === 'obeyed' ||
          (state === 'unknown' && waited >= SETTLE_MS) ||
          waited >= SETTLE_LIMIT_MS
        if (!isSettled) continue
        endings.delete(book)
        endBook(book, ending.decision, position, nowMs)
        dirty.add(book)
      }
      const writes: RunBook[] = []
      let toOffset = position
      for (const book of dirty) {
        const isDue = nowMs - book.unwrittenSince >= HOLD_MS || book.unwrittenBytes > HOLD_BYTES
        if (all || book.ended || isDue) writes.push(book)
        else toOffset = Math.min(toOffset, book.unwrittenFrom)
      }
      const known = new Set<PayloadReport>()
      for (const { payload, offset } of payloads) {
        const book = books.get(keyOf(payload.job, payload.run))
        if (book !== undefined && isExpected(book, payload)) known.add(payload)
        else toOffset = Math.min(toOffset, offset)
      }
      const isIdle = dirty.size === 0 && toOffset > committedOffset
      if (writes.length === 0 && known.size === 0 && !isIdle) return null
      writing = known
      const goingOn = writes.filter((book) => !book.ended)
      const older = goingOn.filter((book) => nowMs - book.claimedAt > HELD_AFTER_MS)
      const fold: Fold = {
        partition,
        owner,
        fromOffset: committedOffset,
        toOffset: Math.max(toOffset, committedOffset),
        chunks: writes.map((book) => ({
          tenant: book.tenant,
          job: book.job,
          run: book.run,
          fromSeq: book.seq - book.unwritten.length + 1,
          toSeq: book.seq,
          events: JSON.stringify(book.unwritten),
        })),
        ended: writes.filter((book) => book.ended).map((book) => endedRunOf(book, nowMs)),
        endedSteps: older.map((book) => ({
          tenant: book.tenant,
          job: book.job,
          run: book.run,
          steps: endedStepsOf(book),
        })),
        ...toStore(known, (job, run) => books.get(keyOf(job, run))),
      }
      const changes: RunChange[] = [
        ...writes
          .filter((book) => book.ended)
          .map((book) => ({ job: book.job, run: book.run, seq: book.seq, ended: true })),
        ...older.map((book) => ({
          job: book.job,
          run: book.run,
          seq: book.seq,
          ended: false,
          held: heldOf(book),
        })),
      ]
      return { fold, changes, ended: writes.filter((book) => book.ended) }
    },
    committed(fold) {
      committedOffset = fold.toOffset
      payloads = payloads.filter(({ payload }) => !writing.has(payload))
      writing.clear()
      for (const artifact of fold.artifacts) {
        books.get(keyOf(artifact.job, artifact.run))?.stored.add(nameOf(artifact))
      }
      for (const chunk of fold.chunks) {
        const key = keyOf(chunk.job, chunk.run)
        const book = books.get(key)
        if (book === undefined) continue
        book.unwritten = book.unwritten.filter((event) => event.seq > chunk.toSeq)
        if (book.unwritten.length === 0) dirty.delete(book)
        if (book.ended) {
          books.delete(key)
          remember(key)
        }
      }
    },
  }
}

/** An artifact is kept when its report has been taken, so that a run keeps no more than it may. */
const isExpected = (book: RunBook, { kind, digest }: PayloadReport): boolean =>
  kind === 'output' || book.state.artifacts.has(digest)

/** What a content is found by within its run. */
const nameOf = ({ step, item, digest }: Omit<NewArtifact, 'body'>) => `${step}/${item}/${digest}`

/** What is to be written of them: of contents that are alike one, as its bytes are counted. */
function toStore(
  payloads: ReadonlySet<PayloadReport>,
  bookOf: (job: string, run: number) => RunBook | undefined,
): Pick<Fold, 'payloads' | 'artifacts'> {
  const outputs: NewPayload[] = []
  const artifacts = new Map<string, NewArtifact>()
  for (const { kind, body, ...payload } of payloads) {
    if (kind === 'output') {
      outputs.push({ ...payload, body: body.toString() })
      continue
    }
    const { job, run } = payload
    const name = nameOf(payload)
    if (bookOf(job, run)?.stored.has(name)) continue
    artifacts.set(`${keyOf(job, run)}/${name}`, { ...payload, body })
  }
  return { payloads: outputs, artifacts: [...artifacts.values()] }
}

function endedRunOf(book: RunBook, nowMs: number): Fold['ended'][number] {
  const terminal = book.unwritten.at(-1)
  const { error, step, item } = terminal?.data ?? {}
  const attempts = terminal?.attempt
  return {
    tenant: book.tenant,
    job: book.job,
    run: book.run,
    status: book.state.status as Fold['ended'][number]['status'],
    finishedAt: nowMs,
    lastSeq: book.seq,
    error: error === undefined ? null : JSON.stringify({ ...error, step, item, attempts }),
    failedStep: error === undefined ? null : (step ?? null),
    pipeline: book.pipeline,
    orderingKey: book.orderingKey,
    isCancelKnown: book.isCancelKnown,
  }
}
