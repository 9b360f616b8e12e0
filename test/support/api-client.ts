import { isTerminal } from '@weir/contracts'

/** What the suites read of a job (the REST contract has more). */
export type Job = {
  readonly id: string
  readonly pipeline: string
  readonly version: number
  readonly run: number
  readonly status: string
  readonly priority: number
  readonly tags: Readonly<Record<string, string>>
  readonly orderingKey: string | null
  readonly correlationId: string
  readonly traceId: string | null
  readonly submittedAt: string
  readonly dispatchedAt: string | null
  readonly finishedAt: string | null
  readonly result: unknown
  readonly error: JobError | null
  readonly cancel?: {
    readonly requestedAt: string
    readonly actor: string
    readonly reason: string | null
  }
  readonly waitingFor: { readonly kind: string; readonly stage?: string } | null
  readonly steps: Readonly<Record<string, Step>>
  readonly runs: readonly { readonly run: number; readonly status: string }[]
}

export type JobError = {
  readonly code: string
  readonly message: string
  readonly step?: string
  readonly item?: string
  readonly attempts?: number
  readonly class: string
}

export type Step = {
  readonly stage: string
  readonly status: string
  readonly attempts: number
  readonly startedAt: string | null
  readonly finishedAt: string | null
  readonly error: JobError | null
  readonly output?: unknown
  readonly diverged?: boolean
  readonly reason?: string
  readonly items?: {
    readonly total: number
    readonly completed: number
    readonly skipped: number
    readonly failed: number
  }
}

export type JobEvent = {
  readonly seq: number
  readonly run: number
  readonly type: string
  readonly at: string
  readonly step?: string
  readonly item?: string
  readonly attempt?: number
  readonly stage?: string
  readonly data: Readonly<Record<string, unknown>>
}

export type Answer<Body = unknown> = {
  readonly status: number
  readonly headers: Headers
  readonly body: Body
}

export type Problem = {
  readonly code: string
  readonly status: number
  readonly title: string
  readonly detail: string
  readonly cause?: string
  readonly errors?: readonly { readonly path: string; readonly code: string }[]
  readonly [member: string]: unknown
}

export type Request = {
  readonly body?: unknown
  /** Text to send as it is, under its media type. */
  readonly text?: { readonly type: string; readonly body: string }
  readonly headers?: Readonly<Record<string, string>>
  readonly signal?: AbortSignal
}

/** The members of a submit beside its input, and the idempotency key for the header. */
export type SubmitOptions = {
  readonly priority?: number
  readonly deadlineMs?: number
  readonly orderingKey?: string
  readonly correlationId?: string
  readonly tags?: Readonly<Record<string, string>>
  readonly version?: number
  readonly headers?: Readonly<Record<string, string>>
}

const REQUEST_MAX_MS = 90_000

/** One key at one control instance. */
export type Client = ReturnType<typeof createClient>

export function createClient(base: string, key: string) {
  /** Any answer, refusals too. */
  async function send<Body = Problem>(
    method: string,
    path: string,
    request: Request = {},
  ): Promise<Answer<Body>> {
    const { body, text, headers, signal } = request
    const type = text?.type ?? (body === undefined ? undefined : 'application/json')
    const timeout = AbortSignal.timeout(REQUEST_MAX_MS)
    const response = await fetch(`${base}${path}`, {
      method,
      headers: {
        authorization: `Bearer ${key}`,
        ...(type !== undefined && { 'content-type': type }),
        ...headers,
      },
      ...(type !== undefined && { body: text?.body ?? JSON.stringify(body) }),
      signal: signal === undefined ? timeout : AbortSignal.any([signal, timeout]),
    })
    const answer = await response.text()
    return {
      status: response.status,
      headers: response.headers,
      body: (answer === '' ? null : JSON.parse(answer)) as Body,
    }
  }

  /** The body of a successful answer; throws on any other. */
  async function call<Body>(method: string, path: string, request?: Request): Promise<Body> {
    const { status, body } = await send<Body>(method, path, request)
    if (status >= 200 && status < 300) return body
    throw new Error(`${method} ${path} answered ${status}: ${JSON.stringify(body).slice(0, 1_000)}`)
  }

  const submitBody = (input: unknown, { headers: _, ...options }: SubmitOptions) => ({
    input,
    ...options,
  })

  const client = {
    base,
    key,
    send,
    call,
    get: <Body>(path: string) => call<Body>('GET', path),
    /** Publishes a pipeline and gives its version. */
    async publish(name: string, document: unknown): Promise<number> {
      const path = `/v1/pipelines/${name}`
      const { version } = await call<{ version: number }>('PUT', path, { body: document })
      return version
    },
    submit(pipeline: string, input: unknown, options: SubmitOptions = {}): Promise<Job> {
      return call<Job>('POST', `/v1/pipelines/${pipeline}/jobs`, {
        body: submitBody(input, options),
        ...(options.headers && { headers: options.headers }),
      })
    },
    /** A batch of inputs under the same options; the ids in order. */
    async submitBatch(
      pipeline: string,
      inputs: readonly unknown[],
      options: SubmitOptions = {},
    ): Promise<readonly string[]> {
      const body = { jobs: inputs.map((input) => submitBody(input, options)) }
      const path = `/v1/pipelines/${pipeline}/jobs/batch`
      const { ids } = await call<{ ids: readonly string[] }>('POST', path, { body })
      return ids
    },
    job: (id: string) => call<Job>('GET', `/v1/jobs/${id}?include=outputs`),
    async events(id: string): Promise<readonly JobEvent[]> {
      const { events } = await call<{ events: readonly JobEvent[] }>('GET', `/v1/jobs/${id}/events`)
      return events
    },
    /** Waits until a job has ended and gives it with its outputs; throws after `deadlineMs`. */
    async ended(id: string, deadlineMs = 30_000): Promise<Job> {
      const end = performance.now() + deadlineMs
      for (;;) {
        const waitMs = Math.max(1, Math.min(20_000, Math.round(end - performance.now())))
        const job = await call<Job>('GET', `/v1/jobs/${id}?include=outputs&wait=${waitMs}`)
        if (isTerminal(job.status)) return job
        if (performance.now() > end) {
          throw new Error(`after ${deadlineMs} ms still not ended: ${JSON.stringify(job, null, 1)}`)
        }
      }
    },
    /** Submits and waits for the end. */
    async run(pipeline: string, input: unknown, options: SubmitOptions = {}): Promise<Job> {
      const { id } = await client.submit(pipeline, input, options)
      return client.ended(id)
    },
    /** Waits for all of them, eight at a time; in the order of the ids. */
    async allEnded(ids: readonly string[], deadlineMs = 60_000): Promise<readonly Job[]> {
      const end = performance.now() + deadlineMs
      const jobs: Job[] = []
      const waiting = [...ids.entries()]
      const wait = async () => {
        for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
          jobs[next[0]] = await client.ended(next[1], Math.max(1, end - performance.now()))
        }
      }
      await Promise.all(Array.from({ length: 8 }, wait))
      return jobs
    },
  }
  return client
}
