import { isUuid } from '@weir/contracts'
import type pg from 'pg'
import type { Pool } from './pool.ts'
import type { Statement, Tx } from './statement.ts'

// The only file that checks a connection out of a pool. What it keeps:
// 1. A tenant is set for one transaction, by the set-once latch, never for a session.
// 2. A connection goes back to the pool only when its transaction is over, else it is destroyed.
// 3. Nothing is reported as done that was not committed: in a pipeline a COMMIT after a failure is
//    answered with ROLLBACK and no error.

const begin: Statement = { name: 'begin', text: 'begin' }
const commit: Statement = { name: 'commit', text: 'commit' }
const rollback: Statement = { name: 'rollback', text: 'rollback' }
const setTenant = (tenant: string): Statement => ({
  name: 'set-tenant',
  text: 'select app.set_tenant($1::uuid)',
  values: [tenant],
})

function send(client: pg.PoolClient, statement: Statement): Promise<pg.QueryResult> {
  // Extended mode always: the server refuses more than one statement in it.
  return client.query({
    ...statement,
    values: statement.values === undefined ? [] : [...statement.values],
    queryMode: 'extended',
  } as pg.QueryConfig)
}

function assertTenant(tenant: string): void {
  if (!isUuid(tenant)) throw new Error('the tenant is no UUID')
}

/**
 * Runs `work` in a transaction of one tenant: it sees and writes that tenant's rows only. Begin,
 * tenant and the first statement travel together. Rolls back when `work` throws.
 */
export async function withTenant<T>(
  pool: Pool,
  tenant: string,
  work: (tx: Tx) => Promise<T>,
): Promise<T> {
  assertTenant(tenant)
  return runTransaction(pool, [begin, setTenant(tenant)], work)
}

/** Runs `work` in a transaction without a tenant: for roles that work across tenants. */
export async function withTransaction<T>(pool: Pool, work: (tx: Tx) => Promise<T>): Promise<T> {
  return runTransaction(pool, [begin], work)
}

/** One statement of one tenant, in a transaction, in one round trip. */
export async function tenantQuery<Row = Record<string, unknown>>(
  pool: Pool,
  tenant: string,
  statement: Statement,
): Promise<Row[]> {
  return tenantBatch(pool, tenant, (tx) => tx.query<Row>(statement))
}

/** As `tenantQuery`; answers how many rows were changed. */
export async function tenantExecute(
  pool: Pool,
  tenant: string,
  statement: Statement,
): Promise<number> {
  return tenantBatch(pool, tenant, (tx) => tx.execute(statement))
}

/**
 * Runs `work` in a transaction of one tenant, in one round trip: commit is sent with the statements
 * that `work` sends before it first waits. Later ones throw, and what `work` makes of the answers no
 * longer decides whether they stand: for reading.
 */
export async function tenantBatch<T>(
  pool: Pool,
  tenant: string,
  work: (tx: Tx) => Promise<T>,
): Promise<T> {
  assertTenant(tenant)
  return runTransaction(pool, [begin, setTenant(tenant)], work, { isBatch: true })
}

/** Several statements in a transaction without a tenant, in one round trip; rows of each. */
export async function batchQuery(
  pool: Pool,
  statements: readonly Statement[],
): Promise<Record<string, unknown>[][]> {
  const work = (tx: Tx) => Promise.all(statements.map((each) => tx.query(each)))
  return runTransaction(pool, [begin], work, { isBatch: true })
}

/** One statement without a tenant; its own transaction. */
export async function query<Row = Record<string, unknown>>(
  pool: Pool,
  statement: Statement,
): Promise<Row[]> {
  return (await sendAlone(pool, statement)).rows as Row[]
}

/** As `query`; answers how many rows were changed. */
export async function execute(pool: Pool, statement: Statement): Promise<number> {
  return (await sendAlone(pool, statement)).rowCount ?? 0
}

async function sendAlone(pool: Pool, statement: Statement): Promise<pg.QueryResult> {
  const client = await pool.connect()
  try {
    return await send(client, statement)
  } finally {
    client.release(client.getTransactionStatus() !== 'I')
  }
}

async function runTransaction<T>(
  pool: Pool,
  opening: readonly Statement[],
  work: (tx: Tx) => Promise<T>,
  { isBatch = false }: { readonly isBatch?: boolean } = {},
): Promise<T> {
  const client = await pool.connect()
  const sent: Promise<unknown>[] = []
  let open = true
  try {
    const opened = Promise.all(opening.map((each) => track(send(client, each))))
    opened.catch(() => {})
    const run = async <P>(
      statement: Statement,
      pick: (result: pg.QueryResult) => P,
    ): Promise<P> => {
      if (!open) throw new Error('the transaction is over')
      const reply = track(send(client, statement))
      await opened
      return pick(await reply)
    }
    const tx: Tx = {
      query: (statement) => track(run(statement, (result) => result.rows as never)),
      execute: (statement) => track(run(statement, (result) => result.rowCount ?? 0)),
    }
    const working = work(tx)
    // A batch sends its commit with what was sent until now.
    if (!isBatch) await working
    open = false
    const ended = track(send(client, commit))
    const value = await working
    await opened
    const end = await ended
    const failed = (await Promise.allSettled(sent)).find((each) => each.status === 'rejected')
    assertCommitted(end, failed?.reason)
    return value
  } catch (error) {
    open = false
    await Promise.allSettled(sent)
    if (client.getTransactionStatus() !== 'I') await send(client, rollback).catch(() => {})
    throw error
  } finally {
    await Promise.allSettled(sent)
    client.release(client.getTransactionStatus() !== 'I')
  }

  function track<P>(promise: Promise<P>): Promise<P> {
    // Marked as handled: a statement nobody waited for must not bring the process down.
    promise.catch(() => {})
    sent.push(promise)
    return promise
  }
}

function assertCommitted(end: pg.QueryResult | undefined, cause?: unknown): void {
  if (end?.command !== 'COMMIT') throw new Error('the transaction was rolled back', { cause })
}
