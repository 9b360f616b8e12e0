import { bandOf, defaults } from '@weir/contracts'
import { arrayLiteral } from '../array-literal.ts'
import type { Pool } from '../pool.ts'
import { asTenant } from '../single-statements.ts'
import type { Tx } from '../statement.ts'

export type NewJob = {
  readonly id: string
  readonly pipeline: string
  readonly version: number
  readonly planId: string
  readonly priority: number
  readonly orderingKey: string | null
  readonly correlationId: string
  /** Context of the submit's server span: parent of the first send. */
  readonly traceparent: string | null
  /** `key=value` */
  readonly tags: readonly string[]
  /** JSON text. */
  readonly input: string
  readonly deadlineMs: number | null
  /** Messages that the job is expected to put in flight at once. */
  readonly weight: number
  readonly idempotencyKey: string | null
  /** Digest of all that the submit said; with an idempotency key only. */
  readonly bodyHash: Buffer | null
}

/** Names as in the quotas of a tenant. */
export type RefusingQuota =
  | 'submitRatePerSecond'
  | 'maxQueuedJobs'
  | 'maxPayloadBytes'
  | 'maxStoredBytes'

export type JobAnswer =
  | { readonly outcome: 'admitted'; readonly id: string }
  /** The idempotency key is known: the job it belongs to, and whether the body was the same. */
  | { readonly outcome: 'repeated'; readonly id: string; readonly sameBody: boolean }
  /** `retryAfterMs` only for the rate, and null where waiting will not help. */
  | {
      readonly outcome: 'refused'
      readonly quota: RefusingQuota
      readonly retryAfterMs: number | null
    }

type Row = {
  admitted: number
  quota: RefusingQuota | null
  retryAfterMs: number | null
  repeatIndex: number[]
  repeatJob: string[]
  repeatSame: boolean[]
}

/**
 * Admits jobs of one tenant, in one statement and round trip: idempotency keys, rate, gauges, rows.
 * The longest prefix that the quotas allow is admitted, or, with `allOrNone`, all or none. One
 * answer per job, in order; a repeat costs no quota. Group concurrent submits of a tenant into one
 * call: the usage row is held until the commit is on disk, so calls of one tenant queue up.
 */
export async function admitJobs(
  pool: Pool,
  tenant: string,
  jobs: readonly NewJob[],
  options: { readonly allOrNone: boolean },
): Promise<JobAnswer[]> {
  return admitJobsIn(asTenant(pool, tenant), jobs, options)
}

/** The same in a transaction of the tenant: for callers that take it back where an answer displeases. */
export async function admitJobsIn(
  tx: Tx,
  jobs: readonly NewJob[],
  options: { readonly allOrNone: boolean },
): Promise<JobAnswer[]> {
  if (jobs.length === 0) return []
  const column = <T>(pick: (job: NewJob) => T): T[] => jobs.map(pick)
  const rows = await tx.query<Row>({
    name: 'admit-jobs',
    text: `select admitted, quota, retry_after_ms as "retryAfterMs", repeat_index as "repeatIndex",
        repeat_job as "repeatJob", repeat_same as "repeatSame"
      from app.admit_jobs($1::boolean, $2::uuid[], $3::text[], $4::integer[], $5::text[],
        $6::smallint[], $7::smallint[], $8::integer[], $9::text[], $10::text[], $11::text[],
        $12::text[], $13::text[], $14::integer[], $15::text[], $16::bytea[],
        $17::integer * interval '1 millisecond')`,
    values: [
      options.allOrNone,
      column((job) => job.id),
      column((job) => job.pipeline),
      column((job) => job.version),
      column((job) => job.planId),
      column((job) => job.priority),
      column((job) => bandOf(job.priority)),
      column((job) => job.weight),
      column((job) => job.orderingKey),
      column((job) => job.correlationId),
      column((job) => job.traceparent),
      column((job) => arrayLiteral(job.tags)),
      column((job) => job.input),
      column((job) => job.deadlineMs),
      column((job) => job.idempotencyKey),
      column((job) => job.bodyHash),
      defaults.idempotencyTtlMs,
    ],
  })
  return toAnswers(jobs, rows[0] as Row)
}

function toAnswers(jobs: readonly NewJob[], row: Row): JobAnswer[] {
  const answers: JobAnswer[] = []
  let repeat = 0
  let admitted = 0
  jobs.forEach((job, index) => {
    // Positions count from 1.
    if (row.repeatIndex[repeat] === index + 1) {
      answers.push({
        outcome: 'repeated',
        id: row.repeatJob[repeat] as string,
        sameBody: row.repeatSame[repeat] as boolean,
      })
      repeat += 1
    } else if (admitted < row.admitted) {
      answers.push({ outcome: 'admitted', id: job.id })
      admitted += 1
    } else {
      if (row.quota === null) throw new Error('a job was neither admitted nor refused')
      answers.push({ outcome: 'refused', quota: row.quota, retryAfterMs: row.retryAfterMs })
    }
  })
  return answers
}
