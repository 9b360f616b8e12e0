import type { Pool } from '../pool.ts'
import { query } from '../transaction.ts'
import { lowestUuidAt } from '../uuid-floor.ts'

/**
 * Deletes ended jobs that finished before the given time, with their logs and payloads, and gives
 * their bytes back: at most `limitPerTenant` of each tenant, a transaction each. Answers how many
 * went; call again while it is not 0. For the dispatcher.
 */
export async function purgeJobs(pool: Pool, before: Date, limitPerTenant: number): Promise<number> {
  const tenants = await query<{ id: string }>(pool, { text: 'select tenant_id as id from tenants' })
  let purged = 0
  for (const { id } of tenants) {
    const [row] = await query<{ jobs: number }>(pool, {
      name: 'purge-jobs',
      text: 'select app.purge_jobs($1::uuid, $2::uuid, $3::timestamptz, $4::integer) as jobs',
      values: [id, lowestUuidAt(before.getTime()), before, limitPerTenant],
    })
    purged += row?.jobs ?? 0
  }
  return purged
}
