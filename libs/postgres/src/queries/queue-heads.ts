import type { Pool } from '../pool.ts'
import { query } from '../transaction.ts'

/** The first job of a plan and band that could be dispatched. */
export type QueueHead = {
  readonly planId: string
  readonly band: number
  readonly tenant: string
  readonly pipeline: string
  readonly virtualFinish: number
  readonly weight: number
  /** Epoch milliseconds. */
  readonly queuedAt: number
}

// Steps from one (plan, band) to the next on job_queue_order_idx: a probe each, however deep the
// queues are.
const text = `
  with recursive head as (
    (
      select q.* from job_queue q where not q.held
      order by q.plan_id, q.band, q.virtual_finish, q.job_id limit 1
    )
    union all
    select n.* from head h cross join lateral (
      select q.* from job_queue q
      where not q.held and (q.plan_id, q.band) > (h.plan_id, h.band)
      order by q.plan_id, q.band, q.virtual_finish, q.job_id limit 1
    ) n
  )
  select h.plan_id as "planId", h.band, h.tenant_id as tenant, h.pipeline,
         h.virtual_finish as "virtualFinish", h.weight,
         (extract(epoch from h.queued_at) * 1000)::bigint as "queuedAt"
  from head h
  join tenants t on t.tenant_id = h.tenant_id and not t.suspended
  join pipelines p on p.tenant_id = h.tenant_id and p.name = h.pipeline and not p.paused
  order by h.virtual_finish
  limit $1`

/**
 * Heads of all queues that may be dispatched from, lowest virtual finish first: suspended tenants
 * and paused pipelines are left out.
 */
export async function listQueueHeads(pool: Pool, limit: number): Promise<QueueHead[]> {
  return query<QueueHead>(pool, { name: 'list-queue-heads', text, values: [limit] })
}
