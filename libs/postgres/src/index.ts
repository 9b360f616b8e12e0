export { type BootstrapOptions, bootstrap, closeDatabase, withDatabase } from './bootstrap.ts'
export { type MigrateOptions, type Migration, migrate, readMigrations } from './migrate.ts'
export { createPool, type Pool, type PoolOptions } from './pool.ts'
export {
  LOGIN_ROLES,
  type LoginRole,
  OWNER_ROLES,
  SERVICE_ROLES,
  type ServiceRole,
} from './roles.ts'
export type { Statement, Tx } from './statement.ts'
export { batchQuery, query, tenantQuery, withTenant, withTransaction } from './transaction.ts'
