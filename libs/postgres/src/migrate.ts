import { hash } from 'node:crypto'
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import { withClient } from './client.ts'
import type { Tls } from './tls.ts'
import { withTryLock } from './try-lock.ts'

const migrationLock = 0x77656972_02
const lockWaitMs = 60_000
/** Behind a queued ALTER every reader of the table waits: give up soon and come again. */
const tableLockTimeout = '2s'
const attemptsMax = 5
const LOCK_NOT_AVAILABLE = '55P03'

export type Migration = {
  /** The number before the name, e.g. `0007`. */
  readonly version: string
  readonly name: string
  readonly text: string
  readonly sha256: string
  /** The file starts with `-- no-transaction`: one statement that cannot run inside one. */
  readonly transactional: boolean
}

export type MigrateOptions = {
  /** URL of weir_migrator; never through a pooler, the lock belongs to the session. */
  readonly url: string
  readonly tls?: Tls
  readonly directory: string
  /** Told of each file that was applied. */
  readonly onApplied?: (name: string, ms: number) => void
}

/** Reads `NNNN_verb_noun.sql` files in the order of their numbers. */
export async function readMigrations(directory: string): Promise<Migration[]> {
  const names = (await readdir(directory)).filter((name) => /^\d{4}_[a-z0-9_]+\.sql$/.test(name))
  const migrations = await Promise.all(
    names.sort().map(async (name) => {
      const text = await readFile(join(directory, name), 'utf8')
      return {
        version: name.slice(0, 4),
        name,
        text,
        sha256: hash('sha256', text),
        transactional: !text.startsWith('-- no-transaction'),
      }
    }),
  )
  migrations.forEach((each, index) => {
    if (each.version === migrations[index - 1]?.version) {
      throw new Error(`${each.name} has the number of ${migrations[index - 1]?.name}`)
    }
  })
  return migrations
}

/**
 * Brings the schema up to date as weir_owner; answers the names of the files applied now. Running
 * it twice, or at once from several processes, does no harm.
 *
 * @throws Error where an applied file was edited or is gone, or a new one has a lower number
 */
export async function migrate(options: MigrateOptions): Promise<string[]> {
  const migrations = await readMigrations(options.directory)
  const work = (client: pg.Client) =>
    withTryLock(client, migrationLock, lockWaitMs, async () => {
      // Uniform ownership. The only place in Weir where a session changes its role.
      await client.query('set role weir_owner')
      await client.query(`set lock_timeout = '${tableLockTimeout}'`)
      await client.query("set statement_timeout = '10min'")
      // Forced row security binds the owner too: a backfill fails instead of updating no row.
      await client.query('set row_security = off')
      const pending = await findPending(client, migrations)
      for (const each of pending) {
        const start = performance.now()
        await applyWithRetry(client, each, start)
        options.onApplied?.(each.name, performance.now() - start)
      }
      return pending.map((each) => each.name)
    })
  return withClient(options.url, work, options.tls === undefined ? {} : { tls: options.tls })
}

async function findPending(client: pg.Client, migrations: Migration[]): Promise<Migration[]> {
  await client.query(`create table if not exists public.schema_migrations (
    version text primary key,
    name text not null,
    sha256 text not null,
    applied_at timestamptz not null default now(),
    ms integer not null
  )`)
  const applied = await client.query<{ version: string; name: string; sha256: string }>(
    'select version, name, sha256 from public.schema_migrations order by version',
  )
  const byVersion = new Map(migrations.map((each) => [each.version, each]))
  for (const row of applied.rows) {
    const file = byVersion.get(row.version)
    if (file === undefined) throw new Error(`${row.name} was applied and is not there any more`)
    if (file.sha256 !== row.sha256) throw new Error(`${row.name} was edited after it was applied`)
  }
  const last = applied.rows.at(-1)?.version ?? ''
  const known = new Set(applied.rows.map((row) => row.version))
  const pending = migrations.filter((each) => !known.has(each.version))
  for (const each of pending) {
    if (each.version < last) throw new Error(`${each.name} comes after ${last}, already applied`)
  }
  return pending
}

async function applyWithRetry(client: pg.Client, each: Migration, start: number): Promise<void> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      await apply(client, each, start)
      return
    } catch (error) {
      await client.query('rollback')
      const locked = error instanceof pg.DatabaseError && error.code === LOCK_NOT_AVAILABLE
      if (!locked || attempt === attemptsMax) {
        throw new Error(`${each.name} failed`, { cause: error })
      }
      await sleep(100 * 2 ** attempt * (0.5 + Math.random()))
    }
  }
}

async function apply(client: pg.Client, each: Migration, start: number): Promise<void> {
  if (each.transactional) await client.query('begin')
  await client.query(each.text)
  await client.query(
    'insert into public.schema_migrations (version, name, sha256, ms) values ($1, $2, $3, $4)',
    [each.version, each.name, each.sha256, Math.round(performance.now() - start)],
  )
  if (each.transactional) await client.query('commit')
}
