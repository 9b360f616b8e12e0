import { waitUntil } from '../../../deploy/local/wait.ts'
import type { PipelineName } from './processes.ts'
import type { Weir } from './system.ts'

const batchesInFlight = 2
const endMaxMs = 60_000

export type Batch = {
  /** In the order of the inputs. */
  readonly ids: readonly string[]
  readonly submitSeconds: number
  /** From the first submit to the last end, as the ledger has it. */
  readonly seconds: number
}

/** Submits jobs in batches over REST, two batches at a time, and waits until all have ended. */
export async function runJobs(
  weir: Weir,
  pipeline: PipelineName,
  inputs: readonly unknown[],
  batchSize: number,
): Promise<Batch> {
  const ids = new Array<string>(inputs.length)
  const startedAt = Date.now()
  let next = 0
  const submit = async (): Promise<void> => {
    while (next < inputs.length) {
      const first = next
      next += batchSize
      const jobs = inputs.slice(first, first + batchSize).map((input) => ({ input }))
      const answer = await weir.rest.call<{ ids: string[] }>(
        'POST',
        `/v1/pipelines/${pipeline}/jobs/batch`,
        { jobs },
      )
      answer.ids.forEach((id, i) => {
        ids[first + i] = id
      })
    }
  }
  await Promise.all(Array.from({ length: batchesInFlight }, submit))
  const submittedAt = Date.now()
  const isOver = await waitUntil(() => isIdle(weir), { timeoutMs: endMaxMs, intervalMs: 100 })
  if (!isOver) throw new Error(`${pipeline}: jobs are still open after ${endMaxMs / 1_000} s`)
  weir.assertUnbroken()
  return {
    ids,
    submitSeconds: (submittedAt - startedAt) / 1_000,
    seconds: ((await lastEndMs(weir, pipeline)) - startedAt) / 1_000,
  }
}

async function isIdle({ rest }: Weir): Promise<boolean> {
  const { quotas } = await rest.call<{
    quotas: { maxQueuedJobs: { used: number }; maxInFlightJobs: { used: number } }
  }>('GET', '/v1/usage')
  return quotas.maxQueuedJobs.used === 0 && quotas.maxInFlightJobs.used === 0
}

async function lastEndMs({ database, tenant }: Weir, pipeline: PipelineName): Promise<number> {
  const { rows } = await database.query<{ at: Date }>(
    'select max(finished_at) as at from weir.jobs where tenant_id = $1 and pipeline = $2',
    [tenant, pipeline],
  )
  return rows[0]?.at.getTime() ?? Number.NaN
}
