import type { Pool } from '../pool.ts'
import { query } from '../transaction.ts'
import type { ClaimedJob } from './claim.ts'

/** A claimed run that has not ended; times in epoch milliseconds. */
export type InFlightRun = {
  readonly tenant: string
  readonly job: string
  readonly run: number
  readonly planId: string
  readonly pipeline: string
  readonly weight: number
  readonly claimedAt: number
  readonly notAfter: number
  readonly cancelling: boolean
  readonly endedSteps: readonly string[]
  /** Something of this run is in the log; a run without may never have been sent. */
  readonly hasEvents: boolean
}

const listText = `
  select f.tenant_id as tenant, f.job_id as job, f.run, f.plan_id as "planId", f.pipeline, f.weight,
         (extract(epoch from f.claimed_at) * 1000)::bigint as "claimedAt",
         (extract(epoch from f.not_after) * 1000)::bigint as "notAfter",
         f.cancelling, f.ended_steps as "endedSteps",
         -- Not exists(): that may be answered by reading the whole log once.
         (
           select true from job_log l
           where l.tenant_id = f.tenant_id and l.job_id = f.job_id and l.run = f.run limit 1
         ) is not null as "hasEvents"
  from in_flight f
  where $1::uuid is null or (f.tenant_id, f.job_id) > ($1::uuid, $2::uuid)
  order by f.tenant_id, f.job_id
  limit $3`

/** One page of all runs in flight, after the given one: rebuilds every counter after a takeover. */
export async function listInFlight(
  pool: Pool,
  limit: number,
  after?: { readonly tenant: string; readonly job: string },
): Promise<InFlightRun[]> {
  return query<InFlightRun>(pool, {
    name: 'list-in-flight',
    text: listText,
    values: [after?.tenant ?? null, after?.job ?? null, limit],
  })
}

const loadText = `
  select f.tenant_id as tenant, f.job_id as job, f.run, f.plan_id as "planId", f.pipeline,
         j.version, j.priority, f.weight, f.ordering_key as "orderingKey", j.correlation_id as "correlationId", j.traceparent,
         j.input, floor(extract(epoch from j.submitted_at) * 1000)::bigint as "submittedAt",
         (extract(epoch from f.claimed_at) * 1000)::bigint as "claimedAt",
         (extract(epoch from f.not_after) * 1000)::bigint as "notAfter"
  from unnest($1::uuid[], $2::uuid[]) as k(tenant_id, job_id)
  join in_flight f on f.tenant_id = k.tenant_id and f.job_id = k.job_id
  join jobs j on j.tenant_id = f.tenant_id and j.id = f.job_id`

/** Claimed runs as the claim answered them (without band and place): to produce them again. */
export async function loadClaimed(
  pool: Pool,
  runs: readonly { readonly tenant: string; readonly job: string }[],
): Promise<Omit<ClaimedJob, 'band' | 'virtualFinish'>[]> {
  return query(pool, {
    name: 'load-claimed',
    text: loadText,
    values: [runs.map((run) => run.tenant), runs.map((run) => run.job)],
  })
}

/** Runs past their not-after, for whoever ends them. */
export async function listOverdue(
  pool: Pool,
  limit: number,
): Promise<Pick<InFlightRun, 'tenant' | 'job' | 'run' | 'planId' | 'notAfter'>[]> {
  return query(pool, {
    name: 'list-overdue',
    text: `select tenant_id as tenant, job_id as job, run, plan_id as "planId",
        (extract(epoch from not_after) * 1000)::bigint as "notAfter"
      from in_flight where not_after < clock_timestamp() order by not_after limit $1`,
    values: [limit],
  })
}
