import { isTerminal } from '@weir/contracts'
import { asTenant, getJob } from '@weir/postgres'
import type { Control } from '../control.ts'
import { notFound } from '../http/not-found.ts'

/** Waits until the job's run has ended: true, or false at `untilMs` (by `performance.now()`). */
export async function waitForEnd(
  { pool, waiters }: Pick<Control, 'pool' | 'waiters'>,
  tenant: string,
  id: string,
  untilMs: number,
  signal: AbortSignal,
): Promise<boolean> {
  const ended = await waiters.until(id, untilMs, signal, async () => {
    const job = await getJob(asTenant(pool, tenant), tenant, id)
    if (job === undefined) throw notFound()
    return isTerminal(job.status) ? true : undefined
  })
  return ended === true
}
