import type { JobEvent, JobStatus } from '@weir/contracts'
import { isTerminal } from '@weir/contracts/states'
import { type FollowOptions, followEvents } from './follow-events.ts'
import type { Job, JobArtifact, JobRequest, JobSummary } from './job.ts'
import { segment, type Transport } from './transport.ts'

export type SubmitOptions = {
  /** The same key and body give the same job, and make the call one that can be repeated. */
  readonly idempotencyKey?: string
  /** Milliseconds to wait for the end, up to 60 000. */
  readonly waitMs?: number
  readonly signal?: AbortSignal
}

export type BatchJob = JobRequest & { readonly idempotencyKey?: string }

export type BatchAnswer = { readonly accepted: number; readonly ids: readonly string[] }

export type JobFilter = {
  readonly status?: readonly string[]
  readonly pipeline?: string
  readonly tags?: Readonly<Record<string, string>>
  readonly correlationId?: string
  readonly idempotencyKey?: string
  readonly failedStep?: string
  /** RFC 3339. */
  readonly from?: string
  readonly to?: string
  readonly limit?: number
  readonly cursor?: string
}

/** Which jobs: those of a filter, or every one. */
export type JobSelection = Omit<JobFilter, 'limit' | 'cursor'> | 'all'

export type JobCounts = {
  readonly total: number
  readonly byStatus: Readonly<Partial<Record<JobStatus, number>>>
}

/** Jobs that ended in the queue, and runs that were asked to end. */
export type CancelCounts = { readonly cancelled: number; readonly cancelling: number }

export type JobPage = { readonly jobs: readonly JobSummary[]; readonly nextCursor?: string }

export type GetJobOptions = {
  readonly include?: readonly ('input' | 'outputs')[]
  /** Milliseconds to wait for the end, up to 60 000. */
  readonly waitMs?: number
  readonly signal?: AbortSignal | undefined
}

export type WaitOptions = {
  /** How long in all; then the job is given as it is. */
  readonly timeoutMs: number
  readonly include?: readonly ('input' | 'outputs')[]
  readonly signal?: AbortSignal
}

/** More calls than any tenant has jobs to cancel. */
const CANCEL_CALLS_MAX = 1_000

/** One request waits no longer than this: proxies cut off what is silent for long. */
const WAIT_PER_REQUEST_MS = 20_000

export type Jobs = ReturnType<typeof createJobs>

export function createJobs(transport: Transport) {
  const pathOf = (id: string): string => `/v1/jobs/${segment(id)}`

  const get = (id: string, options: GetJobOptions = {}): Promise<Job> => {
    const { include, waitMs, signal } = options
    return transport.call<Job>({
      method: 'GET',
      path: pathOf(id),
      query: { include: include?.join(','), wait: waitMs },
      waitMs,
      signal,
    })
  }

  return {
    get,

    /** 202 and 200 both give the job; `isReplayed` where an earlier submit has made it. */
    async submit(
      pipeline: string,
      job: JobRequest,
      options: SubmitOptions = {},
    ): Promise<Job & { readonly isReplayed: boolean }> {
      const { idempotencyKey, waitMs, signal } = options
      const { headers, body } = await transport.send<Job>({
        method: 'POST',
        path: `/v1/pipelines/${segment(pipeline)}/jobs`,
        query: { wait: waitMs },
        json: job,
        headers: { 'idempotency-key': idempotencyKey },
        isIdempotent: idempotencyKey !== undefined,
        waitMs,
        signal,
      })
      return { ...body, isReplayed: headers.get('idempotency-replayed') === 'true' }
    },

    /** All or none; repeated on 429 and 503 where every job has an idempotency key. */
    submitBatch(
      pipeline: string,
      jobs: readonly BatchJob[],
      options: { readonly signal?: AbortSignal } = {},
    ): Promise<BatchAnswer> {
      return transport.call<BatchAnswer>({
        method: 'POST',
        path: `/v1/pipelines/${segment(pipeline)}/jobs/batch`,
        json: { jobs },
        isIdempotent: jobs.every(({ idempotencyKey }) => idempotencyKey !== undefined),
        signal: options.signal,
      })
    },

    list(filter: JobFilter = {}): Promise<JobPage> {
      return transport.call<JobPage>({ method: 'GET', path: '/v1/jobs', query: toQuery(filter) })
    },

    /** How many there are, by status. */
    count(filter: Exclude<JobSelection, 'all'> = {}): Promise<JobCounts> {
      const path = '/v1/jobs/counts'
      return transport.call<JobCounts>({ method: 'GET', path, query: toQuery(filter) })
    },

    async events(id: string, after = 0): Promise<readonly JobEvent[]> {
      const { events } = await transport.call<{ events: readonly JobEvent[] }>({
        method: 'GET',
        path: `${pathOf(id)}/events`,
        query: { after },
      })
      return events
    },

    async artifacts(id: string): Promise<readonly JobArtifact[]> {
      const { artifacts } = await transport.call<{ artifacts: readonly JobArtifact[] }>({
        method: 'GET',
        path: `${pathOf(id)}/artifacts`,
      })
      return artifacts
    },

    /** The content of an artifact, by its `seq`. */
    async artifact(id: string, seq: number): Promise<Uint8Array> {
      const path = `${pathOf(id)}/artifacts/${seq}`
      const response = await transport.open({ method: 'GET', path, headers: { accept: '*/*' } })
      return new Uint8Array(await response.arrayBuffer())
    },

    /** Events as they come, up to the terminal one; see `followEvents`. */
    follow(id: string, options?: FollowOptions): AsyncGenerator<JobEvent, void, undefined> {
      return followEvents(transport, id, options)
    },

    /** Cancelling twice is cancelling once. */
    cancel(id: string, reason?: string): Promise<Job> {
      return transport.call<Job>({
        method: 'POST',
        path: `${pathOf(id)}/cancel`,
        json: reason === undefined ? {} : { reason },
        isIdempotent: true,
      })
    },

    /** Cancels all jobs that are selected and have not ended. */
    async cancelAll(selection: JobSelection, reason?: string): Promise<CancelCounts> {
      let cancelled = 0
      let cancelling = 0
      for (let call = 0; call < CANCEL_CALLS_MAX; call += 1) {
        const counts = await transport.call<CancelCounts & { readonly more: boolean }>({
          method: 'POST',
          path: '/v1/jobs/cancel',
          json: { ...toBody(selection), ...(reason !== undefined && { reason }) },
          isIdempotent: true,
        })
        cancelled += counts.cancelled
        cancelling += counts.cancelling
        if (!counts.more) break
      }
      return { cancelled, cancelling }
    },

    /** How many that would be; nothing is cancelled. */
    planCancel(selection: JobSelection): Promise<JobCounts> {
      return transport.call<JobCounts>({
        method: 'POST',
        path: '/v1/jobs/cancel',
        json: { ...toBody(selection), dryRun: true },
        isIdempotent: true,
      })
    },

    /** The job when it has ended; as it is after `timeoutMs` (see its status). */
    async waitFor(id: string, options: WaitOptions): Promise<Job> {
      const { timeoutMs, include, signal } = options
      const end = performance.now() + timeoutMs
      for (;;) {
        const leftMs = Math.max(1, Math.round(end - performance.now()))
        const waitMs = Math.min(WAIT_PER_REQUEST_MS, leftMs)
        const job = await get(id, { waitMs, signal, ...(include && { include }) })
        if (isTerminal(job.status) || performance.now() >= end) return job
      }
    },
  }
}

function toQuery({ tags = {}, ...rest }: JobFilter) {
  const byTag = Object.entries(tags).map(([key, value]) => [`tag.${key}`, value])
  return { ...rest, ...Object.fromEntries(byTag) }
}

const toBody = (selection: JobSelection) =>
  selection === 'all' ? { all: true } : { filter: selection }
