import { createPool, query } from '@weir/postgres'

/** Runs one statement on a connection of its own. */
export async function queryPostgres(url: string, text: string): Promise<Record<string, unknown>[]> {
  const pool = createPool({ url, max: 1, applicationName: 'launcher-test' })
  try {
    return await query(pool, { text })
  } finally {
    await pool.end()
  }
}
