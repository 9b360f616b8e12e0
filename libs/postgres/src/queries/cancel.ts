import type { JobStatus } from '@weir/contracts'
import type { Pool } from '../pool.ts'
import type { Tx } from '../statement.ts'
import { query } from '../transaction.ts'

/** Where a job stands that is to be cancelled. */
export type CancelTarget = {
  readonly id: string
  readonly status: JobStatus
  readonly run: number
  /** Of a queued job: the last number of its log. */
  readonly lastSeq: number
  readonly submittedAt: Date
  /** The database's clock, as of now. */
  readonly at: Date
}

/**
 * Jobs as they stand until the transaction ends: the tenant's usage row is held first, and whoever
 * claims a job, or ends its run, holds it too. Ids that the tenant does not have are left out.
 */
export async function holdForCancel(
  tx: Tx,
  tenant: string,
  ids: readonly string[],
): Promise<CancelTarget[]> {
  // Two statements in one round trip: the second sees what was committed before the lock was had.
  const locked = tx.query({ name: 'lock-usage', text: 'select app.lock_usage()' })
  const found = tx.query<CancelTarget>({
    name: 'hold-for-cancel',
    // Each by its key, whatever the planner believes of the tables.
    text: `select j.*
      from unnest($2::uuid[]) as k(id)
      cross join lateral (
        select j.id, coalesce(q.run, f.run, j.run) as run,
          case
            when q.job_id is not null then 'queued'
            when f.cancelling then 'cancelling'
            when f.job_id is not null or j.status = 'open' then 'running'
            else j.status
          end as status,
          j.last_seq as "lastSeq", j.submitted_at as "submittedAt", clock_timestamp() as at
        from jobs j
        left join job_queue q on q.tenant_id = $1 and q.job_id = k.id
        left join in_flight f on f.tenant_id = $1 and f.job_id = k.id
        where j.tenant_id = $1 and j.id = k.id
        offset 0
      ) j`,
    values: [tenant, ids],
  })
  await locked
  return found
}

export type CancelIntent = {
  readonly id: string
  readonly reason: string | null
  readonly actor: string
}

/**
 * Asks for the end of runs in flight, for the ledger to fence; answers the ids of those that are. The
 * first who asks stands.
 */
export async function markCancelling(
  tx: Tx,
  tenant: string,
  intents: readonly CancelIntent[],
): Promise<string[]> {
  const rows = await tx.query<{ id: string }>({
    name: 'mark-cancelling',
    text: `update in_flight f
      set cancelling = true, cancel_reason = ($3::text[])[array_position($2::uuid[], f.job_id)],
          cancel_actor = ($4::text[])[array_position($2::uuid[], f.job_id)],
          cancel_requested_at = clock_timestamp()
      where f.tenant_id = $1 and f.job_id = any ($2::uuid[]) and not f.cancelling
      returning f.job_id as id`,
    values: [
      tenant,
      intents.map(({ id }) => id),
      intents.map(({ reason }) => reason),
      intents.map(({ actor }) => actor),
    ],
  })
  return rows.map(({ id }) => id)
}

/** Who asked to cancel a run in flight, and why; the time in epoch milliseconds. */
export type CancelRequest = {
  readonly tenant: string
  readonly job: string
  readonly run: number
  readonly reason: string | null
  readonly actor: string
  readonly at: number
}

/** One page of the runs in flight that are to be cancelled, of all tenants. */
export async function listCancelling(
  pool: Pool,
  limit: number,
  after?: { readonly tenant: string; readonly job: string },
): Promise<CancelRequest[]> {
  return query<CancelRequest>(pool, {
    name: 'list-cancelling',
    text: `select f.tenant_id as tenant, f.job_id as job, f.run, f.cancel_reason as reason,
        coalesce(f.cancel_actor, '') as actor,
        floor(extract(epoch from coalesce(f.cancel_requested_at, f.claimed_at)) * 1000)::bigint as at
      from in_flight f
      where f.cancelling and ($1::uuid is null or (f.tenant_id, f.job_id) > ($1::uuid, $2::uuid))
      order by f.tenant_id, f.job_id
      limit $3`,
    values: [after?.tenant ?? null, after?.job ?? null, limit],
  })
}
