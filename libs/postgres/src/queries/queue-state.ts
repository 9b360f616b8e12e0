import type { Tx } from '../statement.ts'

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
