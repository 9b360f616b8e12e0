import type { JobEvent, Plan, TaskReport } from '@weir/contracts'
import { acceptReport, type NewEvent } from '../../libs/core/src/run/accept-report.ts'
import { decideRun, needsFence, terminalEvent } from '../../libs/core/src/run/decide-run.ts'
import { foldEvent } from '../../libs/core/src/run/fold-event.ts'
import { type RunState, startRun } from '../../libs/core/src/run/run-state.ts'

/** A report as it stands on the events topic. */
export type EventRecord = {
  readonly job: string
  readonly run: number
  readonly step: string
  readonly report: TaskReport
}

export type JobLog = {
  readonly job: string
  readonly plan: Plan
  readonly events: JobEvent[]
  state: RunState
  fencedAt: number | null
}

/** The ledger: real decisions, committed state in arrays, crashes before a commit. */
export type Ledger = {
  readonly jobs: ReadonlyMap<string, JobLog>
  readonly offset: number
  open(job: string, plan: Plan, nowMs: number): void
  /** Folds the next records as one transaction; `crash` throws the work away before the commit. */
  fold(events: readonly EventRecord[], max: number, nowMs: number, crash: boolean): void
  /** Ends runs that are over; `settle` tells whether a fenced run may end yet. */
  endRuns(nowMs: number, settle: (job: JobLog) => boolean, fence: (job: string) => void): void
  requestCancel(job: string, nowMs: number): void
}

function refold(log: JobLog): RunState {
  const state = startRun(log.plan)
  for (const event of log.events) foldEvent(state, log.plan, event)
  return state
}

export function createLedger(): Ledger {
  const jobs = new Map<string, JobLog>()
  let offset = 0

  const add = (log: JobLog, event: NewEvent) => {
    const numbered: JobEvent = { ...event, seq: log.events.length + 1 }
    log.events.push(numbered)
    foldEvent(log.state, log.plan, numbered)
  }

  return {
    jobs,
    get offset() {
      return offset
    },
    open(job, plan, nowMs) {
      const log: JobLog = { job, plan, events: [], state: startRun(plan), fencedAt: null }
      jobs.set(job, log)
      const at = new Date(nowMs).toISOString()
      add(log, { run: 1, type: 'job.queued', at, data: {} })
      add(log, { run: 1, type: 'job.dispatched', at, data: {} })
    },
    fold(events, max, nowMs, crash) {
      const batch = events.slice(offset, offset + max)
      const before = new Map([...jobs].map(([job, log]) => [job, log.events.length]))
      for (const { job, step, report } of batch) {
        const log = jobs.get(job)
        if (log === undefined) throw new Error(`a report of the unknown job ${job}`)
        for (const event of acceptReport(log.state, log.plan, step, report, nowMs).events) {
          add(log, event)
        }
      }
      if (!crash) {
        offset += batch.length
        return
      }
      for (const log of jobs.values()) {
        log.events.length = before.get(log.job) ?? 0
        log.state = refold(log)
      }
    },
    endRuns(nowMs, settle, fence) {
      for (const log of jobs.values()) {
        const decision = decideRun(log.state, log.plan)
        if (decision === null) continue
        if (log.fencedAt === null && needsFence(log.state, log.plan)) {
          // What must reach Kafka is produced before the commit.
          fence(log.job)
          log.fencedAt = nowMs
        }
        if (log.fencedAt !== null && !settle(log)) continue
        add(log, terminalEvent(log.state, decision, new Date(nowMs).toISOString()))
      }
    },
    requestCancel(job, nowMs) {
      const log = jobs.get(job)
      if (log === undefined || log.state.ended || log.state.verdict !== null) return
      const at = new Date(nowMs).toISOString()
      add(log, { run: 1, type: 'job.cancel_requested', at, data: {} })
    },
  }
}
