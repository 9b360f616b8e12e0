import { setTimeout as sleep } from 'node:timers/promises'

/** What the demo reads of a job (the REST contract has more). */
export type Job = {
  readonly id: string
  readonly status: string
  readonly result: unknown
  readonly error: { readonly code: string; readonly message: string; readonly step: string } | null
  readonly steps: Readonly<Record<string, Step>>
}

export type Step = {
  readonly stage: string
  readonly status: string
  readonly waitMs?: number | null
  readonly workMs?: number | null
  readonly items?: Readonly<Record<'total' | 'completed' | 'skipped' | 'failed', number>>
  readonly output?: unknown
}

type Request = {
  readonly body?: unknown
  /** Text to send as it is, under its media type. */
  readonly text?: { readonly type: string; readonly body: string }
  readonly headers?: Readonly<Record<string, string>>
}

export type Api = {
  /** The parsed body of a successful answer; waits out 429 and 503, throws on others. */
  call<Answer>(method: 'GET' | 'POST' | 'PUT', path: string, request?: Request): Promise<Answer>
}

const REQUEST_MAX_MS = 90_000
const BUSY_MAX_MS = 60_000
const RETRY_AFTER_MAX_S = 10

export function createApi(base: string, key: string, stopped: AbortSignal): Api {
  async function send(method: string, path: string, { body, text, headers }: Request) {
    const type = text?.type ?? (body === undefined ? undefined : 'application/json')
    return fetch(`${base}${path}`, {
      method,
      headers: {
        authorization: `Bearer ${key}`,
        ...(type !== undefined && { 'content-type': type }),
        ...headers,
      },
      ...(type !== undefined && { body: text?.body ?? JSON.stringify(body) }),
      signal: AbortSignal.any([stopped, AbortSignal.timeout(REQUEST_MAX_MS)]),
    })
  }

  return {
    async call<Answer>(method: string, path: string, request: Request = {}): Promise<Answer> {
      const startedAt = performance.now()
      for (;;) {
        const response = await send(method, path, request)
        const body = await response.text()
        if (response.ok) return JSON.parse(body) as Answer
        const isBusy = response.status === 429 || response.status === 503
        if (!isBusy || performance.now() - startedAt > BUSY_MAX_MS) {
          throw new Error(`${method} ${path} answered ${response.status}: ${body.slice(0, 2_000)}`)
        }
        const afterS = Number(response.headers.get('retry-after')) || 1
        await sleep(Math.min(afterS, RETRY_AFTER_MAX_S) * 1_000, undefined, { signal: stopped })
      }
    },
  }
}

const TERMINAL = new Set(['completed', 'completed_with_failures', 'failed', 'cancelled', 'dropped'])
const JOB_MAX_MS = 600_000

/** Waits until a job has ended and gives it with its outputs. Throws after ten minutes. */
export async function waitForJob(api: Api, id: string): Promise<Job> {
  const startedAt = performance.now()
  for (;;) {
    const job = await api.call<Job>('GET', `/v1/jobs/${id}?include=outputs&wait=20000`)
    if (TERMINAL.has(job.status)) return job
    if (performance.now() - startedAt > JOB_MAX_MS) {
      throw new Error(`job ${id} is still ${job.status} after ${JOB_MAX_MS / 1_000} s`)
    }
  }
}
