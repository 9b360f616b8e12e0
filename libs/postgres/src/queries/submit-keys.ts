import { defaults } from '@weir/contracts'
import type { Tx } from '../statement.ts'

/** Deletes expired idempotency keys, at most `limit`; answers how many. For the dispatcher. */
export async function sweepSubmitKeys(tx: Tx, limit: number): Promise<number> {
  return tx.execute({
    name: 'sweep-submit-keys',
    text: `delete from submit_keys where (tenant_id, key, pipeline) in (
        select tenant_id, key, pipeline from submit_keys
        where created_at < clock_timestamp() - $2::integer * interval '1 millisecond'
        order by created_at limit $1)`,
    values: [limit, defaults.idempotencyTtlMs],
  })
}
