import { sqlStateOf } from '../errors.ts'
import type { Lease } from '../leases.ts'
import type { Pool } from '../pool.ts'
import { query } from '../transaction.ts'

/** How many jobs of a plan and band to take at most. */
export type Pick = { readonly planId: string; readonly band: number; readonly limit: number }

export type ClaimRequest = {
  readonly picks: readonly Pick[]
  /** Most jobs per band over all its plans, lowest band first. */
  readonly bandLimits: readonly [number, number, number, number]
  /** Most jobs that one tenant may have in flight, beside its own quota. */
  readonly tenantCap: number
  /** A run ends at the latest this long after its claim; a job's own deadline may be shorter. */
  readonly runMaxMs: number
  /** Nothing is claimed under a lease that has passed on. */
  readonly lease: Lease
}

/** Everything that dispatch needs; times in epoch milliseconds. */
export type ClaimedJob = {
  readonly tenant: string
  readonly job: string
  readonly run: number
  readonly planId: string
  readonly pipeline: string
  readonly version: number
  readonly band: number
  readonly priority: number
  readonly weight: number
  readonly virtualFinish: number
  readonly orderingKey: string | null
  readonly correlationId: string
  readonly traceparent: string | null
  readonly input: string
  readonly submittedAt: number
  readonly claimedAt: number
  readonly notAfter: number
}

// Locks: the usage rows of the tenants in question, in the order of their ids, until commit. Every
// other writer of a tenant's queue holds that row first, so no queue row is ever waited for here;
// what was cancelled between the snapshot and the lock is not deleted a second time and so not
// claimed. A row that is not held in the snapshot never becomes held again.
//
// An order by on job_queue_order_idx per pick; a window over all of a plan's queue was 100 times
// slower at a million rows.
const claimText = (skipBusy: boolean): string => `
  with lease as (
    select from leases where name = $4 and fencing = $5 and expires_at > clock_timestamp()
    for share
  ),
  candidate as materialized (
    select c.tenant_id, c.job_id, c.band, c.virtual_finish
    from unnest($1::text[], $2::smallint[], $3::integer[]) as p(plan_id, band, room)
    cross join lateral (
      select q.tenant_id, q.job_id, q.band, q.virtual_finish
      from job_queue q
      where q.plan_id = p.plan_id and q.band = p.band and not q.held
      order by q.virtual_finish, q.job_id
      limit p.room
    ) c
    where exists (select from lease)
  ),
  tenant as materialized (
    select u.tenant_id, least(t.max_in_flight_jobs, $7::integer) - u.in_flight as room
    from tenant_usage u
    join tenants t on t.tenant_id = u.tenant_id
    where u.tenant_id in (select tenant_id from candidate) and not t.suspended
    order by u.tenant_id
    for update of u ${skipBusy ? 'skip locked' : ''}
  ),
  allowed as (
    select tenant_id, job_id, band, virtual_finish,
           row_number() over (partition by band order by virtual_finish, job_id) as nth
    from (
      select c.*, t.room,
             row_number() over (
               partition by c.tenant_id order by c.band desc, c.virtual_finish, c.job_id
             ) as nth_of_tenant
      from candidate c
      join tenant t on t.tenant_id = c.tenant_id
    ) ranked
    where nth_of_tenant <= room
  ),
  gone as (
    delete from job_queue q
    using allowed a
    where q.tenant_id = a.tenant_id and q.job_id = a.job_id
      and a.nth <= ($6::integer[])[a.band + 1]
    returning q.tenant_id, q.job_id, q.run, q.plan_id, q.pipeline, q.band, q.virtual_finish,
              q.ordering_key, q.weight
  ),
  facts as materialized (
    select g.*, j.version, j.priority, j.correlation_id, j.traceparent, j.input, j.submitted_at,
           now.at as claimed_at,
           now.at + least(coalesce(j.deadline_ms, $8::integer), $8::integer)
             * interval '1 millisecond' as not_after
    from gone g
    join jobs j on j.tenant_id = g.tenant_id and j.id = g.job_id
    cross join (select date_trunc('milliseconds', clock_timestamp()) as at) now
  ),
  claimed as (
    insert into in_flight (
      tenant_id, job_id, run, plan_id, pipeline, ordering_key, weight, claimed_at, not_after
    )
    select tenant_id, job_id, run, plan_id, pipeline, ordering_key, weight, claimed_at, not_after
    from facts
  ),
  counted as (
    update tenant_usage u
    set queued = u.queued - n.jobs, in_flight = u.in_flight + n.jobs
    from (select tenant_id, count(*)::integer as jobs from gone group by tenant_id) n
    where u.tenant_id = n.tenant_id
  )
  select tenant_id as tenant, job_id as job, run, plan_id as "planId", pipeline, version, band,
         priority, weight, virtual_finish as "virtualFinish", ordering_key as "orderingKey",
         correlation_id as "correlationId", traceparent, input,
         floor(extract(epoch from submitted_at) * 1000)::bigint as "submittedAt",
         (extract(epoch from claimed_at) * 1000)::bigint as "claimedAt",
         (extract(epoch from not_after) * 1000)::bigint as "notAfter"
  from facts
  order by band desc, virtual_finish, job_id`

const patient = { name: 'claim-jobs', text: claimText(false) }
const impatient = { name: 'claim-jobs-skip-busy', text: claimText(true) }
const LOCK_NOT_AVAILABLE = '55P03'

/**
 * Moves jobs from the queue to in_flight, in one statement: in the order of their virtual finish
 * over all tenants, within the tenants' limits, suspended tenants left out, at most one of an
 * ordering key and these in the order of submission. Committed when it answers.
 */
export async function claimJobs(pool: Pool, request: ClaimRequest): Promise<ClaimedJob[]> {
  const { picks, lease } = request
  if (picks.length === 0) return []
  const values = [
    picks.map((pick) => pick.planId),
    picks.map((pick) => pick.band),
    picks.map((pick) => pick.limit),
    lease.name,
    lease.fencing,
    request.bandLimits,
    request.tenantCap,
    request.runMaxMs,
  ]
  try {
    return await query<ClaimedJob>(pool, { ...patient, values })
  } catch (error) {
    if (sqlStateOf(error) !== LOCK_NOT_AVAILABLE) throw error
    // One tenant's row is held for long: the others do not wait for it.
    return query<ClaimedJob>(pool, { ...impatient, values })
  }
}
