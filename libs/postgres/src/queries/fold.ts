import type { TerminalStatus } from '@weir/contracts'
import { arrayLiteral } from '../array-literal.ts'
import { CANCEL_MISSED, OFFSET_CONFLICT, sqlStateOf } from '../errors.ts'
import type { Pool } from '../pool.ts'
import type { Statement } from '../statement.ts'
import { batchQuery } from '../transaction.ts'
import type { LogChunk } from './runs.ts'

type JobKey = { readonly tenant: string; readonly job: string }

export type EndedRun = JobKey & {
  readonly run: number
  readonly status: TerminalStatus
  /** Epoch milliseconds. */
  readonly finishedAt: number
  readonly lastSeq: number
  /** JSON text. */
  readonly error: string | null
  readonly failedStep: string | null
  readonly pipeline: string
  readonly orderingKey: string | null
  /** The log tells of the request to cancel the run. */
  readonly isCancelKnown: boolean
}

export type NewPayload = JobKey & {
  readonly run: number
  readonly step: string
  readonly item: string
  readonly digest: string
  readonly body: string
}

/** Found by its digest: the same content of one task is kept once. */
export type NewArtifact = Omit<NewPayload, 'body'> & { readonly body: Buffer }

export type Fold = {
  readonly partition: number
  /** The partition must stand at `fromOffset`, under `owner`, and then stands at `toOffset`. */
  readonly fromOffset: number
  readonly toOffset: number
  readonly owner: string
  /** Their events are what `JSON.stringify` writes. */
  readonly chunks: readonly (JobKey & LogChunk)[]
  readonly ended: readonly EndedRun[]
  /** All steps of a run that have ended so far, for runs that go on. */
  readonly endedSteps: readonly (JobKey & {
    readonly run: number
    readonly steps: readonly string[]
  })[]
  readonly payloads: readonly NewPayload[]
  readonly artifacts: readonly NewArtifact[]
}

export type FoldAnswer = 'committed' | 'conflict' | 'cancel_missed'

/**
 * Writes what batches of events have led to, one fold for each partition, with the offsets they were
 * read up to, in one transaction and round trip. All of it or nothing: where a partition stands
 * elsewhere or has another owner the answer is `conflict`; where a run would end that somebody has
 * asked to cancel, and its log does not know, `cancel_missed`.
 *
 * Locks: the partitions' offsets in their order, then the usage rows of the tenants in the order of
 * their ids.
 */
export async function commitFolds(pool: Pool, folds: readonly Fold[]): Promise<FoldAnswer> {
  const inOrder = folds.toSorted((one, other) => one.partition - other.partition)
  const statements = inOrder.map(advanceOffset)
  const all: Changes = {
    chunks: inOrder.flatMap((fold) => fold.chunks),
    ended: inOrder.flatMap((fold) => fold.ended),
    endedSteps: inOrder.flatMap((fold) => fold.endedSteps),
    payloads: inOrder.flatMap((fold) => fold.payloads),
    artifacts: inOrder.flatMap((fold) => fold.artifacts),
  }
  const usage = usageOf(all)
  // Before the lock: nobody else writes these rows, and submits and claims of the tenant go on.
  if (all.chunks.length > 0) statements.push(insertChunks(all.chunks))
  if (all.payloads.length > 0) statements.push(insertPayloads(all.payloads))
  if (all.artifacts.length > 0) statements.push(insertArtifacts(all.artifacts))
  // A statement of its own: those behind it see what the admissions that held a row committed.
  if (usage.size > 0) statements.push(lockUsage([...usage.keys()]))
  if (all.endedSteps.length > 0) statements.push(updateEndedSteps(all.endedSteps))
  if (all.ended.length > 0) statements.push(endRuns(all.ended, usage))
  else if (usage.size > 0) statements.push(addStoredBytes(usage))
  const keyed = all.ended.filter((run) => run.orderingKey !== null)
  if (keyed.length > 0) statements.push(releaseNext(keyed))
  try {
    await batchQuery(pool, statements)
    return 'committed'
  } catch (error) {
    const state = sqlStateOf(error)
    if (state === OFFSET_CONFLICT) return 'conflict'
    if (state === CANCEL_MISSED) return 'cancel_missed'
    throw error
  }
}

/** The same for the fold of a single partition. */
export const commitFold = (pool: Pool, fold: Fold) => commitFolds(pool, [fold])

type Changes = Pick<Fold, 'chunks' | 'ended' | 'endedSteps' | 'payloads' | 'artifacts'>

const advanceOffset = (fold: Fold): Statement => ({
  name: 'fold-offset',
  text: 'select app.advance_offset($1::integer, $2::bigint, $3::bigint, $4::text)',
  values: [fold.partition, fold.fromOffset, fold.toOffset, fold.owner],
})

/** Bytes to be added, by tenant; with every tenant that the fold touches. */
function usageOf(fold: Changes): Map<string, number> {
  const bytes = new Map<string, number>()
  const add = (tenant: string, count: number) => bytes.set(tenant, (bytes.get(tenant) ?? 0) + count)
  for (const each of fold.chunks) add(each.tenant, Buffer.byteLength(each.events))
  for (const each of fold.payloads) add(each.tenant, Buffer.byteLength(each.body))
  for (const each of fold.artifacts) add(each.tenant, each.body.length)
  for (const each of fold.ended) add(each.tenant, 0)
  return bytes
}

const lockUsage = (tenants: readonly string[]): Statement => ({
  name: 'fold-lock-usage',
  text: `select from tenant_usage where tenant_id = any ($1::uuid[]) order by tenant_id for update`,
  values: [tenants],
})

// As JSON the events hold no raw control character, and so can be told apart by one: in an array each
// of their quotes would be escaped here and read back there.
const SEPARATOR = '\u0001'

const insertChunks = (chunks: Fold['chunks']): Statement => ({
  name: 'fold-chunks',
  text: `insert into job_log (tenant_id, job_id, from_seq, to_seq, run, events)
    select * from unnest($1::uuid[], $2::uuid[], $3::integer[], $4::integer[], $5::integer[],
      string_to_array($6::text, chr(1)))`,
  values: [
    chunks.map((each) => each.tenant),
    chunks.map((each) => each.job),
    chunks.map((each) => each.fromSeq),
    chunks.map((each) => each.toSeq),
    chunks.map((each) => each.run),
    chunks.map((each) => each.events).join(SEPARATOR),
  ],
})

const insertPayloads = (payloads: Fold['payloads']): Statement => ({
  name: 'fold-payloads',
  text: `insert into payloads (tenant_id, job_id, run, step, item, digest, body)
    select * from unnest($1::uuid[], $2::uuid[], $3::integer[], $4::text[], $5::text[], $6::text[],
      $7::text[])
    on conflict (tenant_id, job_id, run, step, item) do nothing`,
  values: [
    payloads.map((each) => each.tenant),
    payloads.map((each) => each.job),
    payloads.map((each) => each.run),
    payloads.map((each) => each.step),
    payloads.map((each) => each.item),
    payloads.map((each) => each.digest),
    payloads.map((each) => each.body),
  ],
})

const insertArtifacts = (artifacts: Fold['artifacts']): Statement => ({
  name: 'fold-artifacts',
  text: `insert into artifacts (tenant_id, job_id, run, step, item, digest, body)
    select t, j, r, s, i, d, decode(b, 'base64')
    from unnest($1::uuid[], $2::uuid[], $3::integer[], $4::text[], $5::text[], $6::text[],
      $7::text[]) as e(t, j, r, s, i, d, b)
    on conflict (tenant_id, job_id, run, step, item, digest) do nothing`,
  values: [
    artifacts.map((each) => each.tenant),
    artifacts.map((each) => each.job),
    artifacts.map((each) => each.run),
    artifacts.map((each) => each.step),
    artifacts.map((each) => each.item),
    artifacts.map((each) => each.digest),
    artifacts.map((each) => each.body.toString('base64')),
  ],
})

const updateEndedSteps = (runs: Fold['endedSteps']): Statement => ({
  name: 'fold-ended-steps',
  text: `update in_flight f set ended_steps = e.steps::text[]
    from unnest($1::uuid[], $2::uuid[], $3::integer[], $4::text[]) as e(tenant_id, job_id, run, steps)
    where f.tenant_id = e.tenant_id and f.job_id = e.job_id and f.run = e.run`,
  values: [
    runs.map((each) => each.tenant),
    runs.map((each) => each.job),
    runs.map((each) => each.run),
    runs.map((each) => arrayLiteral(each.steps)),
  ],
})

// A run is counted out only where its row in in_flight goes, so a second end changes no gauge; a
// job whose run was superseded is left as it is. The rows in in_flight are read once more, as they
// were before the delete: a join with what it returns would compare each with each.
const endRuns = (ended: readonly EndedRun[], usage: ReadonlyMap<string, number>): Statement => ({
  name: 'fold-end-runs',
  text: `
    with ending as materialized (
      select * from unnest($1::uuid[], $2::uuid[], $3::integer[], $4::text[], $5::bigint[],
        $6::integer[], $7::text[], $8::text[], $11::boolean[])
        as e(tenant_id, job_id, run, status, finished_ms, last_seq, error, failed_step,
          is_cancel_known)
    ),
    gone as (
      delete from in_flight f using ending e
      where f.tenant_id = e.tenant_id and f.job_id = e.job_id and f.run = e.run
      returning f.tenant_id, f.cancelling and not e.is_cancel_known as is_cancel_missed
    ),
    counted as (
      update tenant_usage u
      set in_flight = u.in_flight - coalesce(n.runs, 0), stored_bytes = u.stored_bytes + b.bytes
      from unnest($9::uuid[], $10::bigint[]) as b(tenant_id, bytes)
      left join (
        select tenant_id, app.count_ends(count(*), bool_or(is_cancel_missed)) as runs
        from gone group by tenant_id
      ) n on n.tenant_id = b.tenant_id
      where u.tenant_id = b.tenant_id
    )
    update jobs j
    set status = e.status, finished_at = to_timestamp(e.finished_ms / 1000.0),
        last_seq = e.last_seq, error = e.error, failed_step = e.failed_step,
        dispatched_at = f.claimed_at, not_after = f.not_after
    from ending e
    left join in_flight f on f.tenant_id = e.tenant_id and f.job_id = e.job_id and f.run = e.run
    where j.tenant_id = e.tenant_id and j.id = e.job_id and j.run = e.run and j.status = 'open'`,
  values: [
    ended.map((each) => each.tenant),
    ended.map((each) => each.job),
    ended.map((each) => each.run),
    ended.map((each) => each.status),
    ended.map((each) => each.finishedAt),
    ended.map((each) => each.lastSeq),
    ended.map((each) => each.error),
    ended.map((each) => each.failedStep),
    [...usage.keys()],
    [...usage.values()],
    ended.map((each) => each.isCancelKnown),
  ],
})

const addStoredBytes = (usage: ReadonlyMap<string, number>): Statement => ({
  name: 'fold-stored-bytes',
  text: `update tenant_usage u set stored_bytes = u.stored_bytes + b.bytes
    from unnest($1::uuid[], $2::bigint[]) as b(tenant_id, bytes)
    where u.tenant_id = b.tenant_id and b.bytes > 0`,
  values: [[...usage.keys()], [...usage.values()]],
})

const releaseNext = (ended: readonly EndedRun[]): Statement => ({
  name: 'fold-release-next',
  text: 'select app.release_next($1::uuid[], $2::text[], $3::text[])',
  values: [
    ended.map((each) => each.tenant),
    ended.map((each) => each.pipeline),
    ended.map((each) => each.orderingKey),
  ],
})
