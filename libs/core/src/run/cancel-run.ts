import type { JobEvent } from '@weir/contracts'
import type { NewEvent } from './accept-report.ts'
import { terminalEvent } from './decide-run.ts'

/** Who asked to cancel a run, and why. */
export type CancelOrder = { readonly reason: string | null; readonly actor: string }

/** @param at RFC 3339, UTC, milliseconds */
export function cancelRequested(run: number, order: CancelOrder, at: string): NewEvent {
  return { run, type: 'job.cancel_requested', at, data: toData(order) }
}

type QueuedJob = { readonly run: number; readonly lastSeq: number; readonly submittedAt: string }

/** The end of the log of a job that is dropped from a queue that is full, because it is the oldest there. */
export function dropQueued(job: QueuedJob, queueMax: number, at: string): JobEvent[] {
  const reason = `the pipeline keeps ${queueMax} jobs in its queue, and newer ones came`
  const decision = { status: 'dropped', error: null, cancellation: { reason } } as const
  return endInQueue(job, [terminalEvent({ run: job.run }, { ...decision, superseded: [] }, at)])
}

/**
 * The end of the log of a job that is cancelled in the queue: no stage has heard of it, so nothing
 * has to be fenced, and the request and the end are one.
 */
export function cancelQueued(job: QueuedJob, order: CancelOrder, at: string): JobEvent[] {
  const { run } = job
  const decision = { status: 'cancelled', error: null, cancellation: toData(order) } as const
  return endInQueue(job, [
    cancelRequested(run, order, at),
    terminalEvent({ run }, { ...decision, superseded: [] }, at),
  ])
}

/** Of a run that goes before, the log has begun already. */
function endInQueue(
  { run, lastSeq, submittedAt }: QueuedJob,
  ends: readonly NewEvent[],
): JobEvent[] {
  const queued: NewEvent = { run, type: 'job.queued', at: submittedAt, data: {} }
  const events = lastSeq === 0 ? [queued, ...ends] : ends
  return events.map((event, index) => ({ seq: lastSeq + 1 + index, ...event }))
}

const toData = ({ reason, actor }: CancelOrder) => ({ ...(reason !== null && { reason }), actor })
