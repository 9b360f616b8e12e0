import type { JobStatus } from '@weir/contracts'
import type { Tx } from '../statement.ts'
import { lowestUuidAt } from '../uuid-floor.ts'

/** A job as a list shows it. */
export type JobSummary = {
  readonly id: string
  readonly pipeline: string
  readonly version: number
  readonly planId: string
  readonly run: number
  readonly status: JobStatus
  readonly priority: number
  readonly orderingKey: string | null
  readonly correlationId: string
  readonly traceparent: string | null
  /** `key=value` */
  readonly tags: readonly string[]
  readonly idempotencyKey: string | null
  readonly submittedAt: Date
  readonly dispatchedAt: Date | null
  readonly finishedAt: Date | null
  readonly notAfter: Date | null
  /** JSON text. */
  readonly error: string | null
  readonly failedStep: string | null
  /** Last event that is in the log; of a running job it may be behind the log. */
  readonly lastSeq: number
  /** Queued behind another job of its ordering key. */
  readonly held: boolean
  readonly endedSteps: readonly string[]
}

export type Job = JobSummary & { readonly input: string | null }

export type JobFilter = {
  readonly status?: readonly JobStatus[]
  readonly pipeline?: string
  /** `key=value`; all of them. */
  readonly tags?: readonly string[]
  readonly correlationId?: string
  readonly idempotencyKey?: string
  readonly failedStep?: string
  /** Submitted at or after, and before. */
  readonly from?: Date
  readonly to?: Date
}

const columns = `j.id, j.pipeline, j.version, j.plan_id as "planId", coalesce(q.run, f.run, j.run) as run,
  case
    when q.job_id is not null then 'queued'
    when f.cancelling then 'cancelling'
    when f.job_id is not null then 'running'
    when j.status = 'open' then 'running'
    else j.status
  end as status,
  j.priority, j.ordering_key as "orderingKey", j.correlation_id as "correlationId", j.traceparent,
  j.tags, j.idempotency_key as "idempotencyKey", j.submitted_at as "submittedAt",
  coalesce(f.claimed_at, j.dispatched_at) as "dispatchedAt", j.finished_at as "finishedAt",
  coalesce(f.not_after, j.not_after) as "notAfter", j.error, j.failed_step as "failedStep",
  j.last_seq as "lastSeq", coalesce(q.held, false) as held,
  coalesce(f.ended_steps, '{}') as "endedSteps"`

const tables = `jobs j
  left join job_queue q on q.tenant_id = $1 and q.job_id = j.id
  left join in_flight f on f.tenant_id = $1 and f.job_id = j.id`

/** One job of the tenant, its input only where asked for. */
export async function getJob(
  tx: Tx,
  tenant: string,
  id: string,
  options: { readonly input?: boolean } = {},
): Promise<Job | undefined> {
  const rows = await tx.query<Job>({
    name: options.input ? 'get-job-with-input' : 'get-job',
    text: `select ${columns}, ${options.input ? 'j.input' : 'null::text'} as input
      from ${tables} where j.tenant_id = $1 and j.id = $2`,
    values: [tenant, id],
  })
  return rows[0]
}

/** Newest first, older than `before`. */
export async function listJobs(
  tx: Tx,
  tenant: string,
  filter: JobFilter,
  page: { readonly limit: number; readonly before?: string },
): Promise<JobSummary[]> {
  const { where, values } = toConditions(tenant, filter)
  if (page.before !== undefined) where.push(`j.id < $${values.push(page.before)}::uuid`)
  const limit = `$${values.push(page.limit)}`
  return tx.query<JobSummary>({
    text: `select ${columns} from ${tables}
      where ${where.join(' and ')} order by j.id desc limit ${limit}`,
    values,
  })
}

/** How many jobs there are by status; the same filters as the list. */
export async function countJobs(
  tx: Tx,
  tenant: string,
  filter: JobFilter,
): Promise<Partial<Record<JobStatus, number>>> {
  const { where, values } = toConditions(tenant, filter)
  const rows = await tx.query<{ status: JobStatus; jobs: number }>({
    text: `select status, count(*)::integer as jobs
      from (select ${columns} from ${tables} where ${where.join(' and ')}) s group by status`,
    values,
  })
  return Object.fromEntries(rows.map((row) => [row.status, row.jobs]))
}

/**
 * The oldest queued jobs of a plan beyond its newest `keep`, the oldest first, at most `limit`. By the
 * database's time: ids are made by clocks that differ.
 */
export async function listQueueOverflow(
  tx: Tx,
  tenant: string,
  { pipeline, planId }: { readonly pipeline: string; readonly planId: string },
  keep: number,
  limit: number,
): Promise<string[]> {
  const rows = await tx.query<{ id: string }>({
    name: 'list-queue-overflow',
    // In two halves, each with an index: whatever else the tenant has queued is not read.
    text: `with own as materialized (
        select job_id, queued_at from job_queue
          where plan_id = $3 and tenant_id = $1 and pipeline = $2 and not held
        union all
        select job_id, queued_at from job_queue
          where tenant_id = $1 and pipeline = $2 and plan_id = $3
            and ordering_key is not null and held
      )
      select job_id as id from own order by queued_at, job_id
      limit (select least($5::integer, greatest(0, count(*) - $4::integer)) from own)`,
    values: [tenant, pipeline, planId, keep, limit],
  })
  return rows.map(({ id }) => id)
}

export type QueuedEnd = {
  readonly id: string
  /** The chunk of the log that ends it; `fromSeq` is one above the job's `lastSeq`. */
  readonly fromSeq: number
  readonly toSeq: number
  readonly events: string
  /** JSON text. */
  readonly error: string | null
}

/**
 * Ends jobs that are still queued; answers the ids of those that were. One that was claimed
 * meanwhile is left alone: it must be fenced instead.
 */
export async function endQueuedJobs(
  tx: Tx,
  status: 'cancelled' | 'dropped',
  jobs: readonly QueuedEnd[],
): Promise<string[]> {
  const rows = await tx.query<{ id: string }>({
    name: 'end-queued-jobs',
    text: `select app.end_queued($1::uuid[], $2::text, $3::integer[], $4::integer[], $5::text[],
      $6::text[]) as id`,
    values: [
      jobs.map((job) => job.id),
      status,
      jobs.map((job) => job.fromSeq),
      jobs.map((job) => job.toSeq),
      jobs.map((job) => job.events),
      jobs.map((job) => job.error),
    ],
  })
  return rows.map((row) => row.id)
}

/** Ids carry their time of creation, by the clock of another machine than the database's. */
const clockSkewMs = 300_000

function toConditions(tenant: string, filter: JobFilter): { where: string[]; values: unknown[] } {
  const values: unknown[] = [tenant]
  const where = ['j.tenant_id = $1']
  const add = (condition: string, value: unknown) =>
    where.push(condition.replaceAll('?', `$${values.push(value)}`))

  if (filter.pipeline !== undefined) add('j.pipeline = ?', filter.pipeline)
  if (filter.correlationId !== undefined) add('j.correlation_id = ?', filter.correlationId)
  if (filter.failedStep !== undefined) {
    add(`j.failed_step = ? and ${unsuccessful}`, filter.failedStep)
  }
  if (filter.tags !== undefined && filter.tags.length > 0) add('j.tags @> ?::text[]', filter.tags)
  if (filter.idempotencyKey !== undefined) {
    add(
      `j.id in (select k.job_id from submit_keys k where k.tenant_id = $1 and k.key = ?)`,
      filter.idempotencyKey,
    )
  }
  if (filter.from !== undefined) {
    add('j.submitted_at >= ?::timestamptz', filter.from)
    add('j.id >= ?::uuid', lowestUuidAt(filter.from.getTime() - clockSkewMs))
  }
  if (filter.to !== undefined) {
    add('j.submitted_at < ?::timestamptz', filter.to)
    add('j.id < ?::uuid', lowestUuidAt(filter.to.getTime() + clockSkewMs))
  }
  if (filter.status !== undefined && filter.status.length > 0) {
    where.push(toStatusCondition(filter.status, values))
  }
  return { where, values }
}

/** As in jobs_unsuccessful_idx, in so many words: the planner must see it without the values. */
const unsuccessful = `j.status in ('completed_with_failures', 'failed', 'cancelled', 'dropped')`

/** Open jobs are few and found by the tables they stand in, not by a walk over all jobs. */
function toStatusCondition(statuses: readonly JobStatus[], values: unknown[]): string {
  const either: string[] = []
  const open = { queued: false, running: false, cancelling: false }
  const ended: string[] = []
  for (const status of statuses) {
    if (status === 'queued' || status === 'running' || status === 'cancelling') open[status] = true
    else ended.push(status)
  }
  if (open.queued) either.push('select o.job_id from job_queue o where o.tenant_id = $1')
  if (open.running || open.cancelling) {
    const which =
      open.running && open.cancelling
        ? ''
        : open.running
          ? ' and not o.cancelling'
          : ' and o.cancelling'
    either.push(`select o.job_id from in_flight o where o.tenant_id = $1${which}`)
  }
  const conditions: string[] = []
  if (either.length > 0) conditions.push(`j.id in (${either.join(' union all ')})`)
  if (ended.length > 0) {
    const wanted = `j.status = any ($${values.push(ended)}::text[])`
    conditions.push(ended.includes('completed') ? wanted : `(${wanted} and ${unsuccessful})`)
  }
  return `(${conditions.join(' or ')})`
}
