import { isTerminal } from '@weir/contracts'
import type { Control } from '../control.ts'
import { notFound } from '../http/not-found.ts'
import { type JobAnswer, loadJob, type Shown, viewLoaded } from './load-job.ts'

/** A job that was admitted just now has hardly ended: its end is announced before it is looked for. */
const FRESH_LOOK_MS = 200

export type Wait = {
  /** By `performance.now()`. */
  readonly untilMs: number
  readonly signal: AbortSignal
  /** Admitted by the caller, this very moment. */
  readonly isFresh: boolean
}

/** Waits until the job's run has ended: the job as the API answers it, or undefined after the time. */
export async function waitForEnd(
  control: Pick<Control, 'pool' | 'waiters' | 'plans' | 'gates'>,
  tenant: string,
  id: string,
  { untilMs, signal, isFresh }: Wait,
  shown: Shown,
): Promise<JobAnswer | undefined> {
  const input = shown.input && shown.payloads
  const look = async () => {
    const loaded = await loadJob(control.pool, tenant, id, { input })
    if (loaded === undefined) throw notFound()
    return isTerminal(loaded.job.status) ? viewLoaded(control, tenant, loaded, shown) : undefined
  }
  return control.waiters.until(id, untilMs, signal, look, isFresh ? FRESH_LOOK_MS : 0)
}
