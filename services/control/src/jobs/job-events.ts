import type { JobEvent } from '@weir/contracts'
import type { Job, LogChunk } from '@weir/postgres'

/** The events of a log's chunks after a number. */
export function readChunks(chunks: readonly Pick<LogChunk, 'events'>[], after = 0): JobEvent[] {
  return chunks
    .flatMap((chunk) => JSON.parse(chunk.events) as JobEvent[])
    .filter((event) => event.seq > after)
}

/**
 * The events of a job whose log is still empty, numbered as the ledger will number them: that it was
 * queued and dispatched is written down with its first report, but it is true before.
 */
export function firstEvents(
  job: Pick<Job, 'run' | 'status' | 'submittedAt' | 'dispatchedAt'>,
): JobEvent[] {
  const { run, status, submittedAt, dispatchedAt } = job
  const queued = {
    seq: 1,
    run,
    type: 'job.queued',
    at: submittedAt.toISOString(),
    data: {},
  } as const
  if (status === 'queued' || dispatchedAt === null) return [queued]
  const at = dispatchedAt.toISOString()
  return [queued, { seq: 2, run, type: 'job.dispatched', at, data: {} }]
}

/** An event for one who may not see payloads: nor what handlers say of them. */
export function withoutPayload(event: JobEvent): JobEvent {
  const { output, event: said, ...rest } = event.data
  if (output === undefined && said === undefined) return event
  if (said === undefined) return { ...event, data: rest }
  return { ...event, data: { ...rest, event: { n: said.n, name: said.name } } }
}
