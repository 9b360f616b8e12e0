import type { Pool } from '../pool.ts'
import type { Tx } from '../statement.ts'
import { query } from '../transaction.ts'

export type QueueState = {
  readonly queued: number
  /** Null where nothing is queued. */
  readonly oldestAgeMs: number | null
}

/** A tenant's own backlog. */
export async function getQueueState(tx: Tx, tenant: string): Promise<QueueState> {
  const rows = await tx.query<QueueState>({
    name: 'get-queue-state',
    text: `select count(*)::integer as queued, (extract(epoch from
        clock_timestamp() - min(queued_at)) * 1000)::bigint as "oldestAgeMs"
      from job_queue where tenant_id = $1`,
    values: [tenant],
  })
  return rows[0] ?? { queued: 0, oldestAgeMs: null }
}

// The counts that admission keeps are a row per tenant; the queue itself is looked through only while
// there is something in it.
const totalText = `
  select coalesce(sum(u.queued), 0)::integer as queued,
         case when sum(u.queued) > 0 then (
           select (extract(epoch from clock_timestamp() - min(q.queued_at)) * 1000)::bigint
           from job_queue q
         ) end as "oldestAgeMs"
  from tenant_usage u`

/** The backlog of all tenants together: for the roles that work across tenants. */
export async function getQueueTotal(pool: Pool): Promise<QueueState> {
  const rows = await query<QueueState>(pool, { name: 'get-queue-total', text: totalText })
  return rows[0] ?? { queued: 0, oldestAgeMs: null }
}
