import type { Tx } from '../statement.ts'

export type Usage = {
  readonly queuedJobs: number
  readonly inFlightJobs: number
  readonly storedBytes: number
  readonly pipelines: number
  /** Submits that the rate would still take at once. */
  readonly submitTokens: number
}

/** What a tenant has used of its quotas, as of now. */
export async function getUsage(tx: Tx, tenant: string): Promise<Usage | undefined> {
  const rows = await tx.query<Usage>({
    name: 'get-usage',
    text: `select u.queued as "queuedJobs", u.in_flight as "inFlightJobs",
        u.stored_bytes as "storedBytes",
        (select count(*)::integer from pipelines p
          where p.tenant_id = $1 and p.deleted_at is null and p.current_version > 0) as pipelines,
        least(t.submit_burst, floor(t.submit_burst - greatest(0, extract(epoch from
          greatest(u.tat, clock_timestamp()) - clock_timestamp())) * t.submit_rate_per_second)
        )::integer as "submitTokens"
      from tenant_usage u
      join tenants t on t.tenant_id = u.tenant_id
      where u.tenant_id = $1`,
    values: [tenant],
  })
  return rows[0]
}
