import type { Pool } from '../pool.ts'
import { batchQuery } from '../transaction.ts'

export type LogChunk = {
  readonly run: number
  readonly fromSeq: number
  readonly toSeq: number
  /** JSON array of events. */
  readonly events: string
}

/** What the ledger must know of a job to go on with its run; times in epoch milliseconds. */
export type LoadedRun = {
  readonly tenant: string
  readonly job: string
  /** The job's latest run, and `open` until that has ended. */
  readonly run: number
  readonly status: string
  readonly pipeline: string
  readonly version: number
  readonly planId: string
  readonly correlationId: string
  readonly traceparent: string | null
  readonly submittedAt: number
  /** Null where the latest run is not in flight. */
  readonly claimedAt: number | null
  readonly notAfter: number | null
  readonly orderingKey: string | null
  /** Who asked to cancel the run; null where nobody has. */
  readonly cancel: {
    readonly reason: string | null
    readonly actor: string
    readonly at: number
  } | null
  readonly lastSeq: number
  /** All chunks of the log, of earlier runs too, in order. */
  readonly chunks: readonly LogChunk[]
}

type JobRow = Omit<LoadedRun, 'chunks' | 'cancel'> & {
  readonly cancelReason: string | null
  readonly cancelActor: string
  readonly cancelledAt: number | null
}
type ChunkRow = LogChunk & { readonly tenant: string; readonly job: string }

const jobsText = `
  select j.tenant_id as tenant, j.id as job, j.run, j.status, j.pipeline, j.version,
         j.plan_id as "planId", j.correlation_id as "correlationId", j.traceparent,
         floor(extract(epoch from j.submitted_at) * 1000)::bigint as "submittedAt",
         (extract(epoch from f.claimed_at) * 1000)::bigint as "claimedAt",
         (extract(epoch from f.not_after) * 1000)::bigint as "notAfter",
         f.ordering_key as "orderingKey", f.cancel_reason as "cancelReason",
         coalesce(f.cancel_actor, '') as "cancelActor",
         case when f.cancelling then
           floor(extract(epoch from coalesce(f.cancel_requested_at, f.claimed_at)) * 1000)::bigint
         end as "cancelledAt",
         j.last_seq as "lastSeq"
  from unnest($1::uuid[], $2::uuid[]) as k(tenant_id, job_id)
  join jobs j on j.tenant_id = k.tenant_id and j.id = k.job_id
  left join in_flight f on f.tenant_id = j.tenant_id and f.job_id = j.id and f.run = j.run`

const chunksText = `
  select l.tenant_id as tenant, l.job_id as job, l.run, l.from_seq as "fromSeq",
         l.to_seq as "toSeq", l.events
  from unnest($1::uuid[], $2::uuid[]) as k(tenant_id, job_id)
  join job_log l on l.tenant_id = k.tenant_id and l.job_id = k.job_id
  order by l.tenant_id, l.job_id, l.from_seq`

/** Jobs by tenant and id, in bulk and one round trip; what does not exist is left out. */
export async function loadRuns(
  pool: Pool,
  keys: readonly { readonly tenant: string; readonly job: string }[],
): Promise<LoadedRun[]> {
  if (keys.length === 0) return []
  const values = [keys.map((key) => key.tenant), keys.map((key) => key.job)]
  const [jobs, chunks] = await batchQuery(pool, [
    { name: 'load-runs', text: jobsText, values },
    { name: 'load-run-chunks', text: chunksText, values },
  ])
  const byJob = Map.groupBy(chunks as ChunkRow[], (chunk) => `${chunk.tenant} ${chunk.job}`)
  return (jobs as JobRow[]).map(({ cancelReason, cancelActor, cancelledAt, ...row }) => {
    const own = byJob.get(`${row.tenant} ${row.job}`) ?? []
    return {
      ...row,
      cancel:
        cancelledAt === null ? null : { reason: cancelReason, actor: cancelActor, at: cancelledAt },
      // Chunks of a run that has not ended are ahead of the job's row.
      lastSeq: Math.max(row.lastSeq, own.at(-1)?.toSeq ?? 0),
      chunks: own.map(({ run, fromSeq, toSeq, events }) => ({ run, fromSeq, toSeq, events })),
    }
  })
}
