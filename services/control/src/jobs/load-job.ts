import { isTerminal, type JobEvent, type Plan } from '@weir/contracts'
import {
  asRole,
  asTenant,
  getJob,
  getPipeline,
  getStage,
  getTenant,
  getUsage,
  type Job,
  type LogChunk,
  type Pool,
  readJobLog,
  readOutputs,
  tenantBatch,
} from '@weir/postgres'
import type { Control } from '../control.ts'
import { findPressure } from '../flow/path-pressure.ts'
import { firstEvents, readChunks } from './job-events.ts'
import { type ViewOptions, viewJob, type Waiting } from './job-view.ts'

/** More chunks than any run can write within its bounds. */
const CHUNKS_MAX = 100_000
const ATTEMPTS_MAX = 3

export type LoadedJob = {
  readonly job: Job
  readonly events: readonly JobEvent[]
  /** False where there are more chunks behind these events. */
  readonly isWhole: boolean
}

/**
 * A job with its events after a number, of so many chunks of its log at most. The row is read before
 * the log in one round trip; where the run ended between the two, both are read again, so that they
 * never tell of different moments.
 */
export async function loadJob(
  pool: Pool,
  tenant: string,
  id: string,
  {
    input = false,
    after = 0,
    chunksMax = CHUNKS_MAX,
  }: { readonly input?: boolean; readonly after?: number; readonly chunksMax?: number } = {},
): Promise<LoadedJob | undefined> {
  for (let attempt = 1; ; attempt++) {
    const [job, chunks] = await tenantBatch(pool, tenant, async (tx) =>
      Promise.all([
        getJob(tx, tenant, id, { input }),
        readJobLog(tx, tenant, id, after, chunksMax),
      ]),
    )
    if (job === undefined) return undefined
    const events = eventsOf(job, chunks, after)
    const last = events.at(-1)
    const isTorn = last?.run === job.run && isEnd(last) && !isTerminal(job.status)
    if (isTorn && attempt < ATTEMPTS_MAX) continue
    return { job, events, isWhole: chunks.length < chunksMax }
  }
}

const ENDS = /^job\.(completed|completed_with_failures|failed|cancelled|dropped)$/

/** True for the last event of a run. */
const isEnd = ({ type }: JobEvent): boolean => ENDS.test(type)

function eventsOf(job: Job, chunks: readonly LogChunk[], after: number): JobEvent[] {
  // The ledger writes from number 1 on; before it has written anything, what is known by the rows.
  if (chunks.length === 0 && after < 2) return firstEvents(job).filter(({ seq }) => seq > after)
  return readChunks(chunks, after)
}

export type Shown = Pick<ViewOptions, 'payloads' | 'outputs' | 'input' | 'traceUrl'>

/** A job as the API answers it; undefined where the tenant has no such job. */
export async function showJob(
  control: Pick<Control, 'pool' | 'plans' | 'gates'>,
  tenant: string,
  id: string,
  shown: Shown,
) {
  const loaded = await loadJob(control.pool, tenant, id, { input: shown.input && shown.payloads })
  return loaded && viewLoaded(control, tenant, loaded, shown)
}

export type JobAnswer = ReturnType<typeof viewJob>

/** The same, where the job is at hand. */
export async function viewLoaded(
  control: Pick<Control, 'pool' | 'plans' | 'gates'>,
  tenant: string,
  { job, events }: Pick<LoadedJob, 'job' | 'events'>,
  shown: Shown,
): Promise<JobAnswer> {
  const { id } = job
  const plan = await control.plans(tenant, job)
  const waitingFor = job.status === 'queued' ? await whyQueued(control, tenant, job, plan) : null
  // Outputs outside of the log may be large: the first pass finds out which ones are asked for.
  const wanted = new Set<string>()
  const note = (step: string): undefined => void wanted.add(step)
  const view = viewJob(job, events, plan, { ...shown, waitingFor, readOutput: note })
  if (wanted.size === 0) return view
  const rows = await readOutputs(asTenant(control.pool, tenant), tenant, id, [...wanted])
  const stored = new Map(rows.map(({ step, item, body }) => [`${step}/${item}`, body]))
  const readOutput = (step: string, item: string) => stored.get(`${step}/${item}`)
  return viewJob(job, events, plan, { ...shown, waitingFor, readOutput })
}

/** Why a queued job has not been dispatched, as far as is known. */
async function whyQueued(
  { pool, gates }: Pick<Control, 'pool' | 'gates'>,
  tenant: string,
  job: Job,
  plan: Plan,
): Promise<Waiting> {
  if (job.held) {
    const detail = 'waits for the end of an earlier job with its ordering key'
    return { kind: 'limit', detail }
  }
  const tx = asTenant(pool, tenant)
  const pipeline = await getPipeline(tx, tenant, job.pipeline)
  if (pipeline?.paused === true) return { kind: 'limit', detail: 'the pipeline is paused' }
  const refs = [...new Set(plan.steps.map(({ stage }) => stage))]
  const stages = await Promise.all(refs.map((ref) => getStage(asRole(pool), ref)))
  const unready = stages.find((stage) => stage !== undefined && stage.state !== 'active')
  if (unready !== undefined) {
    const detail = `stage ${unready.ref} is ${unready.state}`
    return { kind: 'stage_not_ready', stage: unready.ref, detail }
  }
  const [owner, usage] = await Promise.all([getTenant(tx, tenant), getUsage(tx, tenant)])
  if (owner !== undefined && (usage?.inFlightJobs ?? 0) >= owner.quotas.maxInFlightJobs) {
    return { kind: 'quota', detail: 'the tenant has as many jobs in flight as it may' }
  }
  const pressure = findPressure(plan, gates)
  if (pressure !== undefined) {
    const { stage, state, reason } = pressure
    return { kind: 'gate', stage, detail: `the gate of stage ${stage} is ${state} (${reason})` }
  }
  return { kind: 'limit', detail: 'waits for its turn and for room on its path' }
}
