import pg from 'pg'
import { type Tls, toSsl } from './tls.ts'

/** A pool of connections of one database role; checked out by `transaction.ts` alone. */
export type Pool = pg.Pool

export type PoolOptions = {
  /** postgres://role:password@host:port/database */
  readonly url: string
  /** Absent: no TLS. */
  readonly tls?: Tls
  readonly max: number
  readonly applicationName: string
  /** Bounds every statement at the server. */
  readonly statementTimeoutMs?: number
  /** How long a caller waits for a free connection. */
  readonly connectTimeoutMs?: number
  /** Told of a connection that broke while nobody used it. */
  readonly onError?: (error: Error) => void
}

const statementTimeoutMs = 5_000
const lockTimeoutMs = 1_000
const idleInTransactionMs = 10_000
const connectTimeoutMs = 5_000
const maxLifetimeS = 1_800
const idleTimeoutMs = 30_000

const int8 = 20
const types = {
  // Offsets, counts and sizes stay far below 2^53; a string where a number is meant would not.
  getTypeParser: ((oid: number, format?: 'text' | 'binary') =>
    oid === int8 && format !== 'binary'
      ? Number
      : pg.types.getTypeParser(oid, format as 'text')) as typeof pg.types.getTypeParser,
}

/** Opens a pool. Nothing connects before the first use; end it with `pool.end()`. */
export function createPool(options: PoolOptions): Pool {
  const statementMs = options.statementTimeoutMs ?? statementTimeoutMs
  const pool = new pg.Pool({
    connectionString: options.url,
    ssl: toSsl(options.url, options.tls),
    max: options.max,
    application_name: options.applicationName,
    pipeline: true,
    types,
    keepAlive: true,
    statement_timeout: statementMs,
    lock_timeout: Math.min(lockTimeoutMs, statementMs),
    idle_in_transaction_session_timeout: idleInTransactionMs,
    // Behind the server's own limit: for a server that no longer answers at all. In a pipeline it
    // breaks the connection, which is what such a one deserves.
    query_timeout: statementMs * 2,
    connectionTimeoutMillis: options.connectTimeoutMs ?? connectTimeoutMs,
    maxLifetimeSeconds: maxLifetimeS,
    idleTimeoutMillis: idleTimeoutMs,
  } as pg.PoolConfig)
  pool.on('error', options.onError ?? (() => {}))
  // The pool listens to idle connections only. One that breaks in its user's hands has told the user
  // through the statement that failed; unheard, it would end the process as well.
  pool.on('connect', (client) => client.on('error', () => {}))
  return pool
}
