import type { JobEvent } from '@weir/contracts'
import { leafs, type PipelineName } from './processes.ts'
import type { Weir } from './system.ts'

const pageJobs = 1_000
const askedOverRest = 20

/** Every job that was accepted in a pipeline since the start, and what its result must be. */
export type Expected = Map<string, (result: unknown) => boolean>

/**
 * A benchmark that lost a job is void: the jobs that ended are exactly those that were accepted, all
 * of them completed, each with the right result, in its log and, for some, as REST tells it.
 */
export async function checkJobs(
  weir: Weir,
  pipeline: PipelineName,
  expected: Expected,
  fresh: readonly string[],
): Promise<void> {
  const { rows } = await weir.database.query<{ id: string; status: string }>(
    'select id, status from weir.jobs where tenant_id = $1 and pipeline = $2',
    [weir.tenant, pipeline],
  )
  const unasked = rows.filter(({ id }) => !expected.has(id))
  const failed = rows.filter(({ status }) => status !== 'completed')
  if (rows.length !== expected.size || unasked.length > 0 || failed.length > 0)
    throw new Error(
      `${pipeline}: of ${expected.size} accepted jobs ${rows.length} are known, ${unasked.length} ` +
        `are nobody's, ${failed.length} did not complete (${failed[0]?.status} ${failed[0]?.id})`,
    )
  for (let at = 0; at < fresh.length; at += pageJobs)
    await checkLogs(weir, leafs[pipeline], expected, fresh.slice(at, at + pageJobs))
  const step = Math.max(1, Math.floor(fresh.length / askedOverRest))
  for (let at = 0; at < fresh.length; at += step) {
    const id = fresh[at] as string
    const { result } = await weir.rest.call<{ result: unknown }>('GET', `/v1/jobs/${id}`)
    if (!expected.get(id)?.(result)) throw new Error(`${pipeline}: job ${id} has a wrong result`)
  }
}

async function checkLogs(
  weir: Weir,
  leaf: string,
  expected: Expected,
  ids: readonly string[],
): Promise<void> {
  const { rows } = await weir.database.query<{ id: string; events: string }>(
    `select job_id as id, events from weir.job_log
      where tenant_id = $1 and job_id = any($2::uuid[]) order by job_id, from_seq`,
    [weir.tenant, ids],
  )
  const logs = new Map<string, JobEvent[]>()
  for (const { id, events } of rows)
    logs.set(id, [...(logs.get(id) ?? []), ...(JSON.parse(events) as JobEvent[])])
  for (const id of ids) {
    const events = logs.get(id) ?? []
    if (events.some(({ seq }, i) => seq !== i + 1)) throw new Error(`job ${id}: a gap in its log`)
    if (events.at(-1)?.type !== 'job.completed') throw new Error(`job ${id}: no end in its log`)
    const output = events.find(({ type, step }) => type === 'task.completed' && step === leaf)?.data
      .output
    if (output === undefined || !expected.get(id)?.(JSON.parse(output)))
      throw new Error(`job ${id}: a wrong result in its log`)
  }
}
