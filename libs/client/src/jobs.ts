import type { JobEvent } from '@weir/contracts'
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
      const { tags = {}, ...rest } = filter
      const byTag = Object.entries(tags).map(([key, value]) => [`tag.${key}`, value])
      const query = { ...rest, ...Object.fromEntries(byTag) }
      return transport.call<JobPage>({ method: 'GET', path: '/v1/jobs', query })
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
