import pg from 'pg'

export type ClientOptions = { readonly statementTimeoutMs?: number }

/** One connection of its own for as long as `work` runs: administration, never service queries. */
export async function withClient<T>(
  url: string,
  work: (client: pg.Client) => Promise<T>,
  options: ClientOptions = {},
): Promise<T> {
  const client = new pg.Client({
    connectionString: url,
    application_name: 'weir-admin',
    connectionTimeoutMillis: 10_000,
    statement_timeout: options.statementTimeoutMs ?? 60_000,
  })
  // A connection that breaks fails the query under way; without a listener it would end the process.
  client.on('error', () => {})
  await client.connect()
  try {
    return await work(client)
  } finally {
    await client.end()
  }
}
