import type { JobStatus } from '@weir/contracts'

/**
 * What to do about a job that somebody wants to end.
 * - `end`: no stage has heard of it: it ends in the queue, at once.
 * - `ask`: it has been claimed: whatever became of its messages, the ledger must fence it.
 * - `done`: it was asked for before, or the job is cancelled already: the same answer again.
 * - `refuse`: it has ended otherwise.
 */
export type CancelAct = 'end' | 'ask' | 'done' | 'refuse'

export function decideCancel(status: JobStatus): CancelAct {
  switch (status) {
    case 'queued':
      return 'end'
    case 'running':
      return 'ask'
    case 'cancelling':
    case 'cancelled':
      return 'done'
    case 'completed':
    case 'completed_with_failures':
    case 'failed':
    case 'dropped':
      return 'refuse'
    default:
      return status satisfies never
  }
}
