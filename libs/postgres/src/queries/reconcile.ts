import type { Pool } from '../pool.ts'
import { query, withTransaction } from '../transaction.ts'

export type GaugeDrift = {
  readonly tenant: string
  /** What the gauge said beyond what is there. */
  readonly queued: number
  readonly inFlight: number
}

const driftText = `
  select u.tenant_id as tenant, (u.queued - q.jobs)::integer as queued,
         (u.in_flight - f.jobs)::integer as "inFlight"
  from tenant_usage u
  cross join lateral (select count(*) as jobs from job_queue where tenant_id = u.tenant_id) q
  cross join lateral (select count(*) as jobs from in_flight where tenant_id = u.tenant_id) f
  where (u.queued <> q.jobs or u.in_flight <> f.jobs) and ($1::uuid is null or u.tenant_id = $1)`

/**
 * Counts queued and running jobs again and puts the gauges right where they differ; answers what
 * was wrong, which is nothing unless somebody changed rows by hand. For the dispatcher.
 */
export async function reconcileUsage(pool: Pool): Promise<GaugeDrift[]> {
  const suspects = await query<GaugeDrift>(pool, { text: driftText, values: [null] })
  const found: GaugeDrift[] = []
  for (const { tenant } of suspects) {
    await withTransaction(pool, async (tx) => {
      // Counted again under the row that every change of the gauges holds.
      await tx.query({
        text: 'select from tenant_usage where tenant_id = $1 for update',
        values: [tenant],
      })
      const [drift] = await tx.query<GaugeDrift>({ text: driftText, values: [tenant] })
      if (drift === undefined) return
      await tx.execute({
        text: `update tenant_usage set queued = queued - $2, in_flight = in_flight - $3
          where tenant_id = $1`,
        values: [tenant, drift.queued, drift.inFlight],
      })
      found.push(drift)
    })
  }
  return found
}

/**
 * Frees the head of an ordering key behind which nothing runs. Admission, claim and end keep this
 * right by themselves; it is for rows that were changed by hand. Answers how many were freed.
 */
export async function releaseStranded(pool: Pool): Promise<number> {
  return withTransaction(pool, async (tx) => {
    const stranded = await tx.query<{ tenant: string; pipeline: string; key: string }>({
      text: `select q.tenant_id as tenant, q.pipeline, q.ordering_key as key
        from job_queue q where q.held
        group by q.tenant_id, q.pipeline, q.ordering_key
        having not exists (select from in_flight f where f.tenant_id = q.tenant_id
            and f.pipeline = q.pipeline and f.ordering_key = q.ordering_key)
          and not exists (select from job_queue e where e.tenant_id = q.tenant_id
            and e.pipeline = q.pipeline and e.ordering_key = q.ordering_key and not e.held)
        limit 1000`,
    })
    if (stranded.length === 0) return 0
    const tenants = [...new Set(stranded.map((each) => each.tenant))]
    await tx.query({
      text: `select from tenant_usage where tenant_id = any ($1::uuid[])
        order by tenant_id for update`,
      values: [tenants],
    })
    await tx.query({
      text: 'select app.release_next($1::uuid[], $2::text[], $3::text[])',
      values: [
        stranded.map((each) => each.tenant),
        stranded.map((each) => each.pipeline),
        stranded.map((each) => each.key),
      ],
    })
    return stranded.length
  })
}
