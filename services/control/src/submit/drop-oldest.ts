import type { RunChange } from '@weir/contracts'
import { dropQueued } from '@weir/core'
import { endQueuedJobs, holdForCancel, listQueueOverflow, type Tx } from '@weir/postgres'

/** Of one transaction: bounds how long the tenant's other calls wait for it. */
export const DROPS_MAX = 500

/** The queue of a plan, and how many jobs it keeps. */
export type QueueBound = {
  readonly pipeline: string
  readonly planId: string
  readonly queueMax: number
}

/**
 * Drops the oldest queued jobs of a plan beyond `queueMax`, at most `DROPS_MAX`, in the transaction
 * that it is given: with the admission that made them too many. Answers the runs that have ended, to be
 * announced once that is committed.
 */
export async function dropOldest(tx: Tx, tenant: string, bound: QueueBound): Promise<RunChange[]> {
  const { queueMax } = bound
  const ids = await listQueueOverflow(tx, tenant, bound, queueMax, DROPS_MAX)
  if (ids.length === 0) return []
  const targets = await holdForCancel(tx, tenant, ids)
  const ends = targets
    .filter(({ status }) => status === 'queued')
    .map(({ id, run, lastSeq, submittedAt, at }) => {
      const job = { run, lastSeq, submittedAt: submittedAt.toISOString() }
      const events = dropQueued(job, queueMax, at.toISOString())
      const [fromSeq, toSeq] = [events[0]?.seq ?? 0, events.at(-1)?.seq ?? 0]
      return { id, run, fromSeq, toSeq, events: JSON.stringify(events), error: null }
    })
  if (ends.length === 0) return []
  const ended = new Set(await endQueuedJobs(tx, 'dropped', ends))
  return ends
    .filter(({ id }) => ended.has(id))
    .map(({ id, run, toSeq }) => ({ job: id, run, seq: toSeq, ended: true }))
}
