import { setTimeout as sleep } from 'node:timers/promises'
import type pg from 'pg'

const pollMs = 50

/**
 * Runs `work` while this session holds an advisory lock. Tries and sleeps instead of waiting at the
 * server: a waiter there holds a snapshot, and a concurrent index build would wait for it forever.
 *
 * @throws Error when the lock is not free within `waitMs`
 */
export async function withTryLock<T>(
  client: pg.Client,
  key: number,
  waitMs: number,
  work: () => Promise<T>,
): Promise<T> {
  const end = performance.now() + waitMs
  for (;;) {
    const reply = await client.query<{ taken: boolean }>(
      'select pg_try_advisory_lock($1::bigint) as taken',
      [key],
    )
    if (reply.rows[0]?.taken) break
    if (performance.now() > end) throw new Error('another migration is still running')
    await sleep(pollMs)
  }
  try {
    return await work()
  } finally {
    await client.query('select pg_advisory_unlock($1::bigint)', [key]).catch(() => {})
  }
}
