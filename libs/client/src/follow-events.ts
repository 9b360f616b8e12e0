import { setTimeout as pause } from 'node:timers/promises'
import type { JobEvent } from '@weir/contracts'
import { isTerminal } from '@weir/contracts/states'
import { ClientError } from './client-error.ts'
import type { Job } from './job.ts'
import { readSse } from './read-sse.ts'
import { segment, type Transport } from './transport.ts'

export type FollowOptions = {
  /** Number of the last event that is known; 0 gives all. */
  readonly after?: number
  readonly signal?: AbortSignal | undefined
  /** A connection on which nothing comes for this long, not even a comment, is given up; 60 000. */
  readonly idleMs?: number
  /** Connections in a row that brought no event before following fails; 8. */
  readonly attempts?: number
}

const IDLE_MS = 60_000
const ATTEMPTS = 8
const BACKOFF_BASE_MS = 200
const BACKOFF_MAX_MS = 5_000

const isEnd = (event: JobEvent): boolean => isTerminal(event.type.replace(/^job\./, ''))

/**
 * A job's events as they come, each exactly once and in order, up to the terminal one. Where the
 * connection breaks it goes on after the last event by `Last-Event-ID`.
 */
export async function* followEvents(
  transport: Transport,
  id: string,
  options: FollowOptions = {},
): AsyncGenerator<JobEvent, void, undefined> {
  const { idleMs = IDLE_MS, attempts = ATTEMPTS } = options
  let last = options.after ?? 0
  const hasEnded = async (): Promise<boolean> => {
    const path = `/v1/jobs/${segment(id)}`
    return isTerminal(
      (await transport.call<Job>({ method: 'GET', path, signal: options.signal })).status,
    )
  }
  let failures = 0
  for (;;) {
    let problem: unknown
    let isOver = false
    const before = last
    const idle = new AbortController()
    const signals = [idle.signal, options.signal, transport.signal].filter(
      (one) => one !== undefined,
    )
    const signal = AbortSignal.any(signals)
    const timer = setTimeout(() => idle.abort(new Error('the event stream fell silent')), idleMs)
    try {
      const response = await transport.open({
        method: 'GET',
        path: `/v1/jobs/${segment(id)}/events`,
        query: { after: last },
        headers: {
          accept: 'text/event-stream',
          'last-event-id': last > 0 ? String(last) : undefined,
        },
        signal,
      })
      for await (const { data } of readSse(
        (response.body as ReadableStream<Uint8Array> | null) ?? [],
      )) {
        timer.refresh()
        const event = parseEvent(data)
        // Numbers are free of gaps and only rise: anything else has been seen.
        if (event === undefined || event.seq <= last) continue
        last = event.seq
        failures = 0
        // A run that was followed by another one has ended too, but its job goes on.
        isOver = isEnd(event)
        yield event
      }
      // Nothing more, although the end was not seen here: it came before `after`.
      if (isOver || (last === before && (await hasEnded()))) return
    } catch (error) {
      problem = error
    } finally {
      clearTimeout(timer)
      // Whoever stops listening lets go of the connection.
      idle.abort()
    }
    options.signal?.throwIfAborted()
    transport.signal?.throwIfAborted()
    if (isOver) return
    failures += 1
    if (isFinal(problem)) throw problem
    if (failures >= attempts) throw problem ?? silent()
    const backoffMs = Math.min(BACKOFF_MAX_MS, BACKOFF_BASE_MS * 2 ** (failures - 1))
    const wantedMs = ClientError.is(problem) ? (problem.retryAfterS ?? 0) * 1_000 : 0
    const waitMs = Math.max(backoffMs * (0.5 + Math.random() / 2), Math.min(wantedMs, 30_000))
    const waiting = [options.signal, transport.signal].filter((one) => one !== undefined)
    await pause(waitMs, undefined, { signal: AbortSignal.any(waiting) })
  }
}

/** What another try cannot change: the server has answered, and not that it is busy. */
function isFinal(problem: unknown): boolean {
  if (!ClientError.is(problem) || problem.status === 0) return false
  return problem.status < 500 && problem.status !== 429
}

const silent = () =>
  new ClientError({
    code: 'unreachable',
    status: 0,
    detail: 'the event stream ends again and again before the job does',
  })

function parseEvent(data: string): JobEvent | undefined {
  try {
    const event = JSON.parse(data) as JobEvent | null
    return typeof event?.seq === 'number' && typeof event.type === 'string' ? event : undefined
  } catch {
    return undefined
  }
}
