import type { Pool } from './pool.ts'
import type { Tx } from './statement.ts'
import { execute, query, tenantExecute, tenantQuery } from './transaction.ts'

/** Each statement a transaction of one tenant of its own, in one round trip. */
export function asTenant(pool: Pool, tenant: string): Tx {
  return {
    query: (statement) => tenantQuery(pool, tenant, statement),
    execute: (statement) => tenantExecute(pool, tenant, statement),
  }
}

/** Each statement a transaction of its own, for roles that work across tenants. */
export function asRole(pool: Pool): Tx {
  return {
    query: (statement) => query(pool, statement),
    execute: (statement) => execute(pool, statement),
  }
}
