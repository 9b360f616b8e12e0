import { newUuid } from '@weir/contracts'
import { type Pool, type Tx, withTenant } from '@weir/postgres'
import { cloneDatabase, type TestDatabase } from '../support/database.ts'
import { listTenantTables } from './catalogue.ts'
import { seed } from './seed.ts'

/** How work is done for a tenant; a mutation puts another way in its place. */
export type TenantScope = <T>(
  pool: Pool,
  tenant: string,
  work: (tx: Tx) => Promise<T>,
) => Promise<T>

/** Two tenants with a row in every table, and what a check needs to look at them. */
export type World = {
  readonly db: TestDatabase
  readonly tables: readonly string[]
  /** `a` asks, `b` must not be seen. */
  readonly a: string
  readonly b: string
  readonly scope: TenantScope
  /** A pool of control with as many connections. */
  control(max: number): Pool
}

/**
 * @param wide grants control every command on every tenant table, so that a check of the policies
 *   is not passed by a missing grant
 */
export async function makeWorld(
  options: { readonly wide?: boolean; readonly scope?: TenantScope } = {},
): Promise<World> {
  const db = await cloneDatabase()
  const [a, b] = [newUuid(), newUuid()]
  await seed(db, a, 'a')
  await seed(db, b, 'b')
  const tables = await listTenantTables(db)
  if (options.wide) {
    await db.admin(`grant select, insert, update, delete on ${tables.join(', ')} to weir_control`)
  }
  return {
    db,
    tables,
    a,
    b,
    scope: options.scope ?? withTenant,
    control: (max) => db.pool('weir_control', max),
  }
}
