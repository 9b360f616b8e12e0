import type { JobStatus, RunChange } from '@weir/contracts'
import { type CancelOrder, cancelQueued } from '@weir/core'
import {
  type CancelTarget,
  endQueuedJobs,
  holdForCancel,
  markCancelling,
  type Tx,
} from '@weir/postgres'
import { type CancelAct, decideCancel } from './decide-cancel.ts'

export type JobCancel = CancelOrder & { readonly id: string }

/** `cancelled`, `cancelling`: by this very call. */
export type CancelOutcome = 'cancelled' | 'cancelling' | 'unchanged' | 'refused' | 'missing'

export type Cancelled = {
  /** What became of each, in the order of the jobs. */
  readonly outcomes: readonly CancelOutcome[]
  /** Runs that have ended, to be announced once that is committed. */
  readonly ended: readonly RunChange[]
}

/**
 * Ends jobs that are queued and asks for the end of those in flight, all of it or nothing, with the
 * transaction that it is given. A job that is named twice is cancelled by the first.
 * @param only jobs in another status are left alone
 */
export async function cancelJobs(
  tx: Tx,
  tenant: string,
  jobs: readonly JobCancel[],
  only?: ReadonlySet<JobStatus>,
): Promise<Cancelled> {
  const ids = [...new Set(jobs.map(({ id }) => id))]
  const targets = new Map((await holdForCancel(tx, tenant, ids)).map((one) => [one.id, one]))
  const toEnd: { target: CancelTarget; job: JobCancel }[] = []
  const toAsk: JobCancel[] = []
  const seen = new Set<string>()
  const outcomes = jobs.map((job): CancelOutcome => {
    const target = targets.get(job.id)
    if (target === undefined) return 'missing'
    if (seen.has(job.id) || only?.has(target.status) === false) return 'unchanged'
    seen.add(job.id)
    const act = decideCancel(target.status)
    if (act === 'end') toEnd.push({ target, job })
    if (act === 'ask') toAsk.push(job)
    return OUTCOMES[act]
  })
  const ends = toEnd.map(({ target, job }) => toEnding(target, job))
  const [ended, asked] = await Promise.all([
    ends.length === 0 ? [] : endQueuedJobs(tx, 'cancelled', ends),
    toAsk.length === 0 ? [] : markCancelling(tx, tenant, toAsk),
  ])
  if (ended.length !== toEnd.length || asked.length !== toAsk.length) {
    throw new Error('a job was claimed or ended although its tenant was held')
  }
  return {
    outcomes,
    ended: ends.map(({ id, run, toSeq }) => ({ job: id, run, seq: toSeq, ended: true })),
  }
}

const OUTCOMES: Readonly<Record<CancelAct, CancelOutcome>> = {
  end: 'cancelled',
  ask: 'cancelling',
  done: 'unchanged',
  refuse: 'refused',
}

function toEnding(target: CancelTarget, order: CancelOrder) {
  const { id, run, lastSeq } = target
  const submittedAt = target.submittedAt.toISOString()
  const events = cancelQueued({ run, lastSeq, submittedAt }, order, target.at.toISOString())
  const [first, last] = [events[0], events.at(-1)]
  return {
    id,
    run,
    fromSeq: first?.seq ?? 0,
    toSeq: last?.seq ?? 0,
    events: JSON.stringify(events),
    error: null,
  }
}
