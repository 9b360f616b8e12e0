import type { Pool } from '../pool.ts'
import { batchQuery } from '../transaction.ts'

/**
 * Moves the virtual time of dispatch forward, never back: the lowest virtual finish among the
 * waiting jobs whose path has room. A tenant that comes back after a pause starts from there, so
 * that it neither pays for its absence nor is paid for it. Committed without waiting for the disk: a
 * clock that a crash of the server sets back by a moment is as fair as before, and a wait would
 * stand in the way of the commits that promise something.
 */
export async function advanceClock(pool: Pool, virtualTime: number): Promise<void> {
  await batchQuery(pool, [
    { name: 'commit-soon', text: 'set local synchronous_commit = off' },
    {
      name: 'advance-clock',
      text: 'update dispatch_clock set virtual_time = $1::double precision where virtual_time < $1',
      values: [virtualTime],
    },
  ])
}
