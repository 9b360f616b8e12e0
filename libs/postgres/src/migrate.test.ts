import assert from 'node:assert/strict'
import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, beforeEach, describe, it } from 'node:test'
import { fileURLToPath } from 'node:url'
import { cloneDatabase, type TestDatabase } from '../../../test/support/database.ts'
import { migrate, readMigrations } from './migrate.ts'

const source = fileURLToPath(new URL('../../../migrations', import.meta.url))
let db: TestDatabase
let directory: string

before(async () => {
  db = await cloneDatabase()
})
after(() => db.drop())

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'weir-migrations-'))
  await cp(source, directory, { recursive: true })
  await db.admin(`delete from public.schema_migrations where version >= '9000'`)
  await db.admin('drop table if exists weir.extra')
  return () => rm(directory, { recursive: true })
})

const run = () => migrate({ url: db.url('weir_migrator'), directory })
const add = (name: string, text: string) => writeFile(join(directory, name), text)
const failure = async (pattern: RegExp) =>
  assert.rejects(run(), (error: Error) => pattern.test(`${error.message} ${String(error.cause)}`))

describe('migrations', () => {
  it('do nothing when everything is applied', async () => {
    assert.deepEqual(await run(), [])
  })

  it('are applied once by several runners at once, as the owner', async () => {
    await add('9001_create_extra.sql', 'create table weir.extra (id integer);')
    const runs = await Promise.all([run(), run(), run()])
    assert.deepEqual(runs.flat(), ['9001_create_extra.sql'])
    assert.deepEqual(await db.admin(`select tableowner from pg_tables where tablename = 'extra'`), [
      { tableowner: 'weir_owner' },
    ])
  })

  it('leave nothing of a file that fails', async () => {
    await add('9001_create_extra.sql', 'create table weir.extra (id integer); select 1 / 0;')
    await failure(/9001_create_extra.sql failed.*division by zero/)
    assert.deepEqual(await db.admin(`select from pg_tables where tablename = 'extra'`), [])
    await add('9001_create_extra.sql', 'create table weir.extra (id integer);')
    assert.deepEqual(await run(), ['9001_create_extra.sql'])
  })

  it('refuse an applied file that was edited', async () => {
    const [first] = await readMigrations(directory)
    assert.ok(first !== undefined)
    const text = await readFile(join(directory, first.name), 'utf8')
    await add(first.name, `${text}\n-- a word more\n`)
    await failure(/was edited/)
  })

  it('refuse an applied file that is gone', async () => {
    const [first] = await readMigrations(directory)
    await rm(join(directory, first?.name ?? ''))
    await failure(/is not there any more/)
  })

  it('refuse a new file with a number below the last applied', async () => {
    await add('9005_create_extra.sql', 'create table weir.extra (id integer);')
    await run()
    await add('9004_add_late.sql', 'select 1;')
    await failure(/comes after 9005/)
  })

  it('refuse two files of one number', async () => {
    await add('9001_one.sql', 'select 1;')
    await add('9001_two.sql', 'select 1;')
    await failure(/has the number of/)
  })

  it('build an index concurrently outside a transaction', async () => {
    await add('9001_create_extra.sql', 'create table weir.extra (id integer);')
    await add(
      '9002_index_extra.sql',
      '-- no-transaction\ncreate index concurrently if not exists extra_idx on weir.extra (id);',
    )
    assert.deepEqual(await run(), ['9001_create_extra.sql', '9002_index_extra.sql'])
    assert.deepEqual(
      await db.admin(
        `select indisvalid from pg_index where indexrelid = 'weir.extra_idx'::regclass`,
      ),
      [{ indisvalid: true }],
    )
  })

  it('fail loudly where a backfill would meet forced row security', async () => {
    await add('9001_backfill.sql', 'update weir.tenants set weight = 2;')
    await failure(/affected by row-level security/)
  })
})
