import type { RunChange } from '@weir/contracts'
import {
  admitJobs,
  admitJobsIn,
  asTenant,
  getJob,
  type JobAnswer,
  type NewJob,
  type Pool,
  withTenant,
} from '@weir/postgres'
import type { Admitted } from './admission.ts'
import { DROPS_MAX, dropOldest, type QueueBound } from './drop-oldest.ts'
import { toMismatch } from './refusal.ts'

/** A job as the admission takes it: with the bound of its pipeline's queue, where the oldest make room. */
export type Submit = NewJob & { readonly queueMax: number | null }

export type AdmitPorts = {
  readonly pool: Pool
  /** After the commit: what was dropped for what came in. */
  readonly onDropped: (runs: readonly RunChange[]) => void
  readonly onDropFailed: (error: unknown) => void
}

export type Admit = (
  tenant: string,
  jobs: readonly Submit[],
  allOrNone: boolean,
) => Promise<Admitted[]>

/** The statement of the admission, and what belongs to the same transaction where something does. */
export function createAdmit(ports: AdmitPorts): Admit {
  const { pool, onDropped } = ports

  async function admitWith(
    tenant: string,
    jobs: readonly Submit[],
    allOrNone: boolean,
    bounds: readonly QueueBound[],
  ): Promise<JobAnswer[]> {
    const { answers, dropped } = await withTenant(pool, tenant, async (tx) => {
      const answers = await admitJobsIn(tx, jobs, { allOrNone })
      const mismatch = answers.findIndex((one) => one.outcome === 'repeated' && !one.sameBody)
      // Thrown in the transaction: what was admitted beside it is taken back.
      if (allOrNone && mismatch !== -1) throw toMismatch(`/jobs/${mismatch}/idempotencyKey`)
      const dropped: RunChange[] = []
      if (answers.some(({ outcome }) => outcome === 'admitted')) {
        for (const bound of bounds) dropped.push(...(await dropOldest(tx, tenant, bound)))
      }
      return { answers, dropped }
    })
    if (dropped.length > 0) onDropped(dropped)
    // What is admitted is admitted: the next submit drops what this one could not.
    if (dropped.length >= DROPS_MAX) await dropRest(tenant, bounds).catch(ports.onDropFailed)
    return answers
  }

  /** A batch can bring more than is dropped in one transaction. */
  async function dropRest(tenant: string, bounds: readonly QueueBound[]): Promise<void> {
    for (const bound of bounds) {
      let dropped: RunChange[]
      do {
        dropped = await withTenant(pool, tenant, (tx) => dropOldest(tx, tenant, bound))
        if (dropped.length > 0) onDropped(dropped)
      } while (dropped.length === DROPS_MAX)
    }
  }

  return async (tenant, jobs, allOrNone) => {
    const bounds = boundsOf(jobs)
    const hasKeys = jobs.some((job) => job.idempotencyKey !== null)
    // One statement, without a transaction around it, where nothing else belongs to it.
    const answers =
      bounds.length > 0 || (allOrNone && hasKeys)
        ? await admitWith(tenant, jobs, allOrNone, bounds)
        : await admitJobs(pool, tenant, jobs, { allOrNone })
    const first = answers.find(({ outcome }) => outcome === 'admitted')
    if (first?.outcome !== 'admitted') return answers as Admitted[]
    // The statement's own time: one for all that it admitted.
    const row = await getJob(asTenant(pool, tenant), tenant, first.id)
    const submittedAt = row?.submittedAt ?? new Date()
    return answers.map((one) => (one.outcome === 'admitted' ? { ...one, submittedAt } : one))
  }
}

function boundsOf(jobs: readonly Submit[]): QueueBound[] {
  const bounds = new Map<string, QueueBound>()
  for (const { pipeline, planId, queueMax } of jobs) {
    if (queueMax !== null) bounds.set(`${pipeline} ${planId}`, { pipeline, planId, queueMax })
  }
  return [...bounds.values()]
}
