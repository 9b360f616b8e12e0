import pg from 'pg'
import { withExplanation } from './explain.ts'
import { type Tls, toSsl } from './tls.ts'

export type ClientOptions = { readonly statementTimeoutMs?: number; readonly tls?: Tls }

/** One connection of its own for as long as `work` runs: administration, never service queries. */
export async function withClient<T>(
  url: string,
  work: (client: pg.Client) => Promise<T>,
  options: ClientOptions = {},
): Promise<T> {
  const client = new pg.Client({
    connectionString: url,
    ssl: toSsl(url, options.tls),
    application_name: 'weir-admin',
    connectionTimeoutMillis: 10_000,
    statement_timeout: options.statementTimeoutMs ?? 60_000,
  })
  // A connection that breaks fails the query under way; without a listener it would end the process.
  client.on('error', () => {})
  await withExplanation(() => client.connect())
  try {
    return await work(client)
  } finally {
    await client.end()
  }
}
