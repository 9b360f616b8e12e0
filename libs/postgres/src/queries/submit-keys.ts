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

/** Which of the idempotency keys were used for a pipeline and have not expired: one lookup for all. */
export async function findSubmitKeys(
  tx: Tx,
  tenant: string,
  pipeline: string,
  keys: readonly string[],
): Promise<ReadonlySet<string>> {
  const rows = await tx.query<{ key: string }>({
    name: 'find-submit-keys',
    text: `select key from submit_keys
      where tenant_id = $1 and pipeline = $2 and key = any ($3::text[])
        and created_at >= clock_timestamp() - $4::integer * interval '1 millisecond'`,
    values: [tenant, pipeline, keys, defaults.idempotencyTtlMs],
  })
  return new Set(rows.map(({ key }) => key))
}
