import type pg from 'pg'
import { withClient } from './client.ts'
import {
  LOGIN_ROLES,
  type LoginRole,
  OWNER_ROLES,
  SERVICE_ROLES,
  type ServiceRole,
  scramVerifier,
} from './roles.ts'
import type { Tls } from './tls.ts'
import { withTryLock } from './try-lock.ts'

/** Held in the maintenance database: roles are shared by all databases of a server. */
const bootstrapLock = 0x77656972_01
const lockWaitMs = 60_000

const settings = {
  search_path: 'weir, pg_catalog',
  statement_timeout: '5s',
  lock_timeout: '1s',
  idle_in_transaction_session_timeout: '10s',
  // Every hot query is a lookup by keys. A plan made while a table was small, or before its first
  // analyze, would scan it whole and stay cached while it grows; planning anew for each batch costs
  // more than the batch. Compiling short plans never pays.
  plan_cache_mode: 'force_generic_plan',
  enable_seqscan: 'off',
  jit: 'off',
} as const

/** Roles that join by keys only; control also lists and counts. */
const keyedRoles: readonly ServiceRole[] = ['weir_dispatcher', 'weir_ledger']
const keyedSettings = { enable_hashjoin: 'off', enable_mergejoin: 'off' } as const

/**
 * Functions that turn an injected expression into more than a read: another tenant, a stalled or a
 * killed neighbour. Nobody but a superuser keeps them; the tenant latch gets the one it needs.
 */
const revokedFunctions = [
  'set_config(text, text, boolean)',
  'query_to_xml(text, boolean, boolean, text)',
  'query_to_xmlschema(text, boolean, boolean, text)',
  'query_to_xml_and_xmlschema(text, boolean, boolean, text)',
  'pg_terminate_backend(integer, bigint)',
  'pg_cancel_backend(integer)',
  'pg_sleep(double precision)',
  'pg_sleep_for(interval)',
  'pg_sleep_until(timestamp with time zone)',
  'pg_notify(text, text)',
  'lo_create(oid)',
  'lo_creat(integer)',
  'lo_from_bytea(oid, bytea)',
] as const

export type BootstrapOptions = {
  /**
   * URL of a superuser, or where a managed server has none to give, of a role that may create roles
   * and databases; its database is used for what concerns the whole server.
   */
  readonly adminUrl: string
  readonly tls?: Tls
  readonly database: string
  /** A role that does not exist yet needs one; an existing role's is replaced. */
  readonly passwords: Readonly<Partial<Record<LoginRole, string>>>
}

/**
 * Makes the roles and the database where they are missing, and takes away what services must not
 * have. Safe to repeat and to run at once from several processes. Answers what only a superuser could
 * have taken away: false where the admin is none.
 */
export async function bootstrap(options: BootstrapOptions): Promise<{ isHardened: boolean }> {
  assertName(options.database)
  const how = options.tls === undefined ? {} : { tls: options.tls }
  const work = (client: pg.Client) =>
    withTryLock(client, bootstrapLock, lockWaitMs, async () => {
      const isSuperuser = await readIsSuperuser(client)
      await ensureRoles(client, options.passwords, isSuperuser)
      const known = await client.query('select from pg_database where datname = $1', [
        options.database,
      ])
      if (known.rowCount === 0) {
        await client.query(`create database ${options.database} owner weir_owner`)
      }
      await closeDatabase(client, options.database)
      if (!isSuperuser)
        await asOwner(client, `grant connect on database ${options.database} to session_user`)
      const inside = withDatabase(options.adminUrl, options.database)
      await withClient(inside, isSuperuser ? hardenDatabase : closePublicSchema, how)
      return { isHardened: isSuperuser }
    })
  return withClient(options.adminUrl, work, how)
}

/** Only our roles may connect, and no service may make temporary tables (not kept by a clone). */
export async function closeDatabase(client: pg.Client, database: string): Promise<void> {
  assertName(database)
  await asOwner(
    client,
    `revoke all on database ${database} from public`,
    `grant connect on database ${database} to weir_migrator, ${SERVICE_ROLES.join(', ')}`,
  )
}

/** An admin who is no superuser may do as the owner does, but has nothing of the owner's by itself. */
async function asOwner(client: pg.Client, ...statements: readonly string[]): Promise<void> {
  await client.query('set role weir_owner')
  try {
    for (const statement of statements) await client.query(statement)
  } finally {
    await client.query('reset role')
  }
}

async function readIsSuperuser(client: pg.Client): Promise<boolean> {
  const reply = await client.query('select rolsuper from pg_roles where rolname = session_user')
  return reply.rows[0]?.rolsuper === true
}

/** The same URL with another database. */
export function withDatabase(url: string, database: string): string {
  const changed = new URL(url)
  changed.pathname = `/${database}`
  return changed.href
}

async function ensureRoles(
  client: pg.Client,
  passwords: BootstrapOptions['passwords'],
  isSuperuser: boolean,
): Promise<void> {
  const reply = await client.query<{ rolname: string }>('select rolname from pg_roles')
  const known = new Set(reply.rows.map((row) => row.rolname))
  const missing = Object.entries(LOGIN_ROLES)
    .filter(([role]) => !known.has(role) && !passwords[role as LoginRole])
    .map(([, variable]) => variable)
  if (missing.length > 0) throw new Error(`passwords are missing: set ${missing.join(', ')}`)

  for (const role of OWNER_ROLES) {
    if (!known.has(role)) await client.query(`create role ${role} nologin noinherit`)
  }
  for (const role of Object.keys(LOGIN_ROLES) as LoginRole[]) {
    if (!known.has(role)) await client.query(`create role ${role} login noinherit`)
    const password = passwords[role]
    if (password) await client.query(`alter role ${role} password '${scramVerifier(password)}'`)
  }
  // Without inheritance: else a policy for weir_definer would bind, and so open, for the owner too.
  const version = await client.query<{ major: number }>(
    `select current_setting('server_version_num')::integer / 10000 as major`,
  )
  const option = (version.rows[0]?.major ?? 0) >= 16 ? ' with inherit false, set true' : ''
  await client.query(`grant weir_owner to weir_migrator${option}`)
  await client.query(`grant weir_definer to weir_owner${option}`)
  if (!isSuperuser) await client.query(`grant weir_owner to current_user${option}`)
  for (const role of SERVICE_ROLES) {
    const own = keyedRoles.includes(role) ? { ...settings, ...keyedSettings } : settings
    for (const [name, value] of Object.entries(own)) {
      await client.query(`alter role ${role} set ${name} = ${quoteSetting(name, value)}`)
    }
  }
}

async function hardenDatabase(client: pg.Client): Promise<void> {
  await client.query('begin')
  for (const each of revokedFunctions) {
    await client.query(`revoke execute on function pg_catalog.${each} from public`)
  }
  await client.query(
    'grant execute on function pg_catalog.set_config(text, text, boolean) to weir_definer',
  )
  await client.query('revoke usage on language plpgsql from public')
  await client.query('grant usage on language plpgsql to weir_owner, weir_definer')
  await client.query('revoke all on schema public from public')
  await client.query('grant usage, create on schema public to weir_owner')
  await client.query('commit')
}

/** What is left of the hardening where nobody is a superuser. */
function closePublicSchema(client: pg.Client): Promise<void> {
  return asOwner(client, 'revoke all on schema public from public')
}

function assertName(database: string): void {
  if (!/^[a-z][a-z0-9_]{0,62}$/.test(database)) {
    throw new Error(`"${database}" is no name for a database: lower-case letters, digits and _`)
  }
}

/** A search path is a list of names, everything else one literal. */
function quoteSetting(name: string, value: string): string {
  return name === 'search_path' ? value : `'${value}'`
}
