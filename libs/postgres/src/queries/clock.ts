import type { Tx } from '../statement.ts'

/**
 * Moves the virtual time of dispatch forward, never back: the lowest virtual finish among the
 * waiting jobs whose path has room. A tenant that comes back after a pause starts from there, so
 * that it neither pays for its absence nor is paid for it.
 */
export async function advanceClock(tx: Tx, virtualTime: number): Promise<void> {
  await tx.execute({
    name: 'advance-clock',
    text: `update dispatch_clock set virtual_time = $1::double precision where virtual_time < $1`,
    values: [virtualTime],
  })
}
