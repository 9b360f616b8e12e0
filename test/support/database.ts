import { hash, randomBytes } from 'node:crypto'
import { fileURLToPath } from 'node:url'
import {
  bootstrap,
  closeDatabase,
  createPool,
  insertTenant,
  LOGIN_ROLES,
  type LoginRole,
  migrate,
  type Pool,
  query,
  readMigrations,
  withClient,
  withDatabase,
  withTenant,
} from '@weir/postgres'

// A database of its own for a test file, made from a template that is migrated once per state of
// the migrations. Teardown asserts that nothing was left open.

export type TestDatabase = {
  readonly name: string
  /** URL of the superuser in this database. */
  readonly adminUrl: string
  /** URL with the credential of a role. */
  url(role: LoginRole): string
  /** A pool of a role; closed with the database. */
  pool(role: LoginRole, max?: number): Pool
  /** One statement as the superuser, whom no policy binds. */
  admin<Row = Record<string, unknown>>(text: string, values?: unknown[]): Promise<Row[]>
  /** A tenant with its usage row. */
  addTenant(id: string, name: string): Promise<void>
  /** Closes the pools and drops the database. */
  drop(): Promise<void>
}

const migrations = fileURLToPath(new URL('../../migrations', import.meta.url))
const templateLock = 0x77656972_03
const lockWaitMs = 120_000

/** URL of a superuser of the server for tests; undefined where none is named. */
export function testAdminUrl(): string | undefined {
  return process.env.WEIR_TEST_POSTGRES_ADMIN || undefined
}

/** Passwords follow from the server's own secret: every test process comes to the same ones. */
function passwordOf(adminUrl: string, role: string): string {
  return hash('sha256', `${new URL(adminUrl).password}/${role}`, 'base64url')
}

/** A freshly migrated database. Fails where no server is named: a skipped test proves nothing. */
export async function cloneDatabase(): Promise<TestDatabase> {
  const adminUrl = testAdminUrl()
  if (adminUrl === undefined) {
    throw new Error('set WEIR_TEST_POSTGRES_ADMIN to the URL of a superuser of a test server')
  }
  const template = await ensureTemplate(adminUrl)
  const name = `weir_test_${process.pid}_${randomBytes(4).toString('hex')}`
  await withClient(adminUrl, async (client) => {
    await client.query(`create database ${name} template ${template} owner weir_owner`)
    await closeDatabase(client, name)
    await client.query(`alter database ${name} set search_path = weir, public`)
  })
  return openDatabase(adminUrl, name)
}

async function openDatabase(serverUrl: string, name: string): Promise<TestDatabase> {
  const adminUrl = withDatabase(serverUrl, name)
  const admin = createPool({ url: adminUrl, max: 4, applicationName: 'weir-test-admin' })
  const pools: Pool[] = []
  const url = (role: LoginRole): string => {
    const own = new URL(adminUrl)
    own.username = role
    own.password = passwordOf(serverUrl, role)
    return own.href
  }
  const pool = (role: LoginRole, max = 4): Pool => {
    const made = createPool({ url: url(role), max, applicationName: 'weir-test' })
    pools.push(made)
    return made
  }
  let control: Pool | undefined
  return {
    name,
    adminUrl,
    url,
    pool,
    admin: (text, values = []) => query(admin, { text, values }),
    addTenant: async (id, label) => {
      control ??= pool('weir_control', 2)
      await withTenant(control, id, (tx) => insertTenant(tx, { id, name: label }))
    },
    drop: async () => {
      const leaked = pools.filter((each) => each.idleCount !== each.totalCount).length
      await Promise.all(pools.map((each) => each.end()))
      await admin.end()
      await withClient(serverUrl, (client) =>
        client.query(`drop database if exists ${name} with (force)`),
      )
      if (leaked > 0) throw new Error(`${leaked} pools still had connections in use`)
    },
  }
}

/** Migrates once per state of the migrations; templates of other states are dropped. */
async function ensureTemplate(adminUrl: string): Promise<string> {
  const sums = (await readMigrations(migrations)).map((each) => each.sha256).join()
  const template = `weir_template_${hash('sha256', sums).slice(0, 12)}`
  await withClient(adminUrl, async (client) => {
    const end = performance.now() + lockWaitMs
    for (;;) {
      const lock = await client.query('select pg_try_advisory_lock($1::bigint) as taken', [
        templateLock,
      ])
      if (lock.rows[0].taken) break
      if (performance.now() > end) throw new Error('the template is still being made')
      await new Promise((resolve) => setTimeout(resolve, 50))
    }
    const known = await client.query(
      `select datname, datistemplate from pg_database where datname like 'weir\\_template\\_%'`,
    )
    if (known.rows.some((row) => row.datname === template && row.datistemplate)) return
    for (const row of known.rows) {
      // One that was cut off half-way, or of migrations that are no more.
      await client.query(`alter database ${row.datname} is_template false`)
      await client.query(`drop database ${row.datname} with (force)`)
    }
    await makeTemplate(adminUrl, template)
    await client.query(`alter database ${template} is_template true`)
  })
  return template
}

async function makeTemplate(adminUrl: string, template: string): Promise<void> {
  const roles = Object.keys(LOGIN_ROLES) as LoginRole[]
  const passwords = Object.fromEntries(roles.map((role) => [role, passwordOf(adminUrl, role)]))
  await bootstrap({ adminUrl, database: template, passwords })
  const url = new URL(withDatabase(adminUrl, template))
  url.username = 'weir_migrator'
  url.password = passwords.weir_migrator as string
  await migrate({ url: url.href, directory: migrations })
}
