import type { ChangeRecord, JobStatus } from '@weir/contracts'
import type { CancelOrder } from '@weir/core'
import {
  asTenant,
  insertAudit,
  type JobFilter,
  listJobs,
  type Pool,
  withTenant,
} from '@weir/postgres'
import type { NewEntry } from '../audit/entry.ts'
import { createTenantLanes } from '../tenant-lanes.ts'
import { type Cancelled, type CancelOutcome, cancelJobs, type JobCancel } from './cancel-jobs.ts'

/** Of one transaction: bounds how long the tenant's other calls wait for it. */
const CHUNK_JOBS = 200
/** Of one call; the next one goes on where it has stopped. */
const CALL_JOBS_MAX = 10_000

/** One job to cancel, with the entry for the audit log that stands if it is. */
export type CancelCall = JobCancel & { readonly entry: NewEntry }

type Waiting = {
  readonly call: CancelCall
  readonly resolve: (outcome: CancelOutcome) => void
  readonly reject: (error: unknown) => void
}

export type FilterCancel = {
  /** Names statuses that can be cancelled, and no other. */
  readonly filter: JobFilter & { readonly status: readonly JobStatus[] }
  readonly order: CancelOrder
  readonly toEntry: (counts: CancelCounts) => NewEntry
}

export type CancelCounts = { readonly cancelled: number; readonly cancelling: number }

export type Canceller = {
  /** Committed when it answers. */
  cancel(tenant: string, call: CancelCall): Promise<CancelOutcome>
  /** Chunk by chunk, each committed with its entry; `more` where the bound of a call was reached. */
  cancelAll(tenant: string, call: FilterCancel): Promise<CancelCounts & { readonly more: boolean }>
}

export type CancellerPorts = {
  readonly pool: Pool
  /** Tells of runs that have ended; a hint. */
  readonly announce: (change: ChangeRecord) => void
  /** Tells the ledger that runs are to be cancelled; a hint. */
  readonly hint: (count: number) => void
  readonly count: (outcome: 'cancelled' | 'cancelling', jobs: number) => void
  readonly closing: AbortSignal
}

export function createCanceller(ports: CancellerPorts): Canceller {
  const { pool } = ports

  /** After the commit: whoever waits for these jobs hears of it, and the ledger acts at once. */
  const tell = ({ outcomes, ended }: Cancelled): CancelCounts => {
    const counts = countOf(outcomes)
    if (ended.length > 0) ports.announce({ v: 1, kind: 'runs', runs: ended })
    if (counts.cancelling > 0) ports.hint(counts.cancelling)
    ports.count('cancelled', counts.cancelled)
    ports.count('cancelling', counts.cancelling)
    return counts
  }

  const cancelGroup = async (tenant: string, calls: readonly CancelCall[]) => {
    const cancelled = await withTenant(pool, tenant, async (tx) => {
      const done = await cancelJobs(tx, tenant, calls)
      const entries = calls.filter((_, at) => isDone(done.outcomes[at]))
      await Promise.all(entries.map(({ entry }) => insertAudit(tx, tenant, entry)))
      return done
    })
    tell(cancelled)
    return cancelled.outcomes
  }

  const lanes = createTenantLanes<Waiting>({
    take: (waiting) => waiting.splice(0, CHUNK_JOBS),
    async work(tenant, group) {
      const outcomes = await cancelGroup(
        tenant,
        group.map(({ call }) => call),
      )
      for (const [at, { resolve }] of group.entries()) resolve(outcomes[at] as CancelOutcome)
      return []
    },
    full: 'Too many jobs wait to be cancelled.',
  })

  return {
    cancel: (tenant, call) =>
      new Promise((resolve, reject) => lanes(tenant, { call, resolve, reject })),
    async cancelAll(tenant, { filter, order, toEntry }) {
      const only = new Set(filter.status)
      const total = { cancelled: 0, cancelling: 0 }
      let before: { before?: string } = {}
      for (let seen = 0; seen < CALL_JOBS_MAX && !ports.closing.aborted; seen += CHUNK_JOBS) {
        // From the newest on: what is submitted meanwhile is not met.
        const page = { limit: CHUNK_JOBS, ...before }
        const jobs = await listJobs(asTenant(pool, tenant), tenant, filter, page)
        const last = jobs.at(-1)
        if (last !== undefined) {
          const calls = jobs.map(({ id }) => ({ id, ...order }))
          const cancelled = await withTenant(pool, tenant, async (tx) => {
            const done = await cancelJobs(tx, tenant, calls, only)
            await insertAudit(tx, tenant, toEntry(countOf(done.outcomes)))
            return done
          })
          const counts = tell(cancelled)
          total.cancelled += counts.cancelled
          total.cancelling += counts.cancelling
          before = { before: last.id }
        }
        if (jobs.length < CHUNK_JOBS) return { ...total, more: false }
      }
      return { ...total, more: true }
    },
  }
}

const isDone = (outcome: CancelOutcome | undefined) =>
  outcome === 'cancelled' || outcome === 'cancelling'

const countOf = (outcomes: readonly CancelOutcome[]): CancelCounts => ({
  cancelled: outcomes.filter((outcome) => outcome === 'cancelled').length,
  cancelling: outcomes.filter((outcome) => outcome === 'cancelling').length,
})
