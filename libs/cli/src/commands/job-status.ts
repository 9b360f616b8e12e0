import type { Job } from '@weir/client'
import { isTerminal } from '@weir/contracts/states'
import { exitCodes } from '../exit-codes.ts'

/** The exit status that tells how a job ended; 6 where it has not. */
export function exitCodeOfJob({ status }: Pick<Job, 'status'>, tellsStatus: boolean): number {
  if (!isTerminal(status)) return exitCodes.timedOut
  if (!tellsStatus || status === 'completed') return exitCodes.ok
  return status === 'completed_with_failures' ? exitCodes.partial : exitCodes.failure
}
