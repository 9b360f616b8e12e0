import type { JobEvent } from '@weir/contracts'
import type { NewEvent } from './accept-report.ts'
import { terminalEvent } from './decide-run.ts'

/** Who asked to cancel a run, and why. */
export type CancelOrder = { readonly reason: string | null; readonly actor: string }

/** @param at RFC 3339, UTC, milliseconds */
export function cancelRequested(run: number, order: CancelOrder, at: string): NewEvent {
  return { run, type: 'job.cancel_requested', at, data: toData(order) }
}

/**
 * The end of the log of a job that is cancelled in the queue: no stage has heard of it, so nothing
 * has to be fenced, and the request and the end are one.
 */
export function cancelQueued(
  job: { readonly run: number; readonly lastSeq: number; readonly submittedAt: string },
  order: CancelOrder,
  at: string,
): JobEvent[] {
  const { run, lastSeq, submittedAt } = job
  const decision = { status: 'cancelled', error: null, cancellation: toData(order) } as const
  const events: NewEvent[] = [
    // Of a run that goes before, the log has begun already.
    ...(lastSeq === 0 ? [{ run, type: 'job.queued', at: submittedAt, data: {} } as const] : []),
    cancelRequested(run, order, at),
    terminalEvent({ run }, { ...decision, superseded: [] }, at),
  ]
  return events.map((event, index) => ({ seq: lastSeq + 1 + index, ...event }))
}

const toData = ({ reason, actor }: CancelOrder) => ({ ...(reason !== null && { reason }), actor })
