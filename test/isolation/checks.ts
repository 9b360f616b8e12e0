import assert from 'node:assert/strict'
import { newUuid } from '@weir/contracts'
import { asRole, LOGIN_ROLES, query, SERVICE_ROLES, type Tx } from '@weir/postgres'
import { findFaults } from './catalogue.ts'
import { insertOf, rowsOf } from './seed.ts'
import type { World } from './world.ts'

// What one tenant might try against another. A number is a check's name for good; each throws an
// AssertionError when something leaks.

export type Check = {
  readonly number: number
  readonly sentence: string
  /** Runs where control has every grant, so that the policies alone are tested. */
  readonly wide?: true
  run(world: World): Promise<void>
}

const denied = { code: '42501' }

async function rejects(promise: Promise<unknown>, ...codes: string[]): Promise<void> {
  const failure = await promise.then(
    () => undefined,
    (error: { code?: string }) => error,
  )
  assert.ok(failure !== undefined, 'it was allowed')
  assert.ok(codes.includes(failure.code ?? ''), `it failed otherwise: ${failure.code} ${failure}`)
}

const count = async (tx: Pick<Tx, 'query'>, text: string, values: unknown[] = []) =>
  (await tx.query<{ n: number }>({ text: `select count(*)::integer as n from ${text}`, values }))[0]
    ?.n

/** Every row that is seen belongs to the tenant, and there is one. */
async function seesOnlyOwn(tx: Tx, table: string, own: string): Promise<void> {
  const rows = await tx.query<{ tenant_id: string }>({ text: `select tenant_id from ${table}` })
  assert.ok(rows.length > 0, `${table}: the tenant does not see its own row`)
  assert.ok(
    rows.every((row) => row.tenant_id === own),
    `${table}: a foreign row was seen`,
  )
}

async function seesNothing(world: World, tx: Pick<Tx, 'query'>): Promise<void> {
  for (const table of world.tables) {
    assert.equal(await count(tx, table), 0, `${table}: rows were seen without a tenant`)
  }
}

/** What the tables hold for real. */
async function digest(world: World): Promise<string> {
  const sums = await Promise.all(
    world.tables.map((table) =>
      world.db.admin(
        `select md5(string_agg(t::text, ',' order by t::text)) as sum from ${table} t`,
      ),
    ),
  )
  return JSON.stringify(sums)
}

async function unchanged(world: World, work: () => Promise<void>): Promise<void> {
  const before = await digest(world)
  await work()
  assert.equal(await digest(world), before, 'something was changed')
}

class Abort extends Error {}

export const checks: readonly Check[] = [
  {
    number: 1,
    sentence: 'without a tenant nothing is seen, changed, deleted or inserted',
    wide: true,
    run: (world) =>
      unchanged(world, async () => {
        const tx = asRole(world.control(1))
        await seesNothing(world, tx)
        for (const table of world.tables) {
          const update = `update ${table} set tenant_id = tenant_id`
          assert.equal(await tx.execute({ text: update }), 0, `${table}: updated`)
          assert.equal(await tx.execute({ text: `delete from ${table}` }), 0, `${table}: deleted`)
        }
        for (const [table, row] of Object.entries(rowsOf(newUuid(), 'c'))) {
          await rejects(tx.execute(insertOf(table, world.a, row)), '42501')
        }
      }),
  },
  {
    number: 1.1,
    sentence: 'without a tenant the owner of the tables sees nothing either',
    async run(world) {
      const owner = world.db.pool('weir_migrator', 1)
      const client = await owner.connect()
      try {
        await client.query('set role weir_owner')
        for (const table of world.tables) {
          const reply = await client.query(`select count(*)::integer as n from weir.${table}`)
          assert.equal(reply.rows[0].n, 0, `${table}: the owner is not bound`)
        }
      } finally {
        client.release(true)
      }
    },
  },
  {
    number: 2,
    sentence: 'a connection that served a tenant shows nothing afterwards, and does not fail',
    wide: true,
    async run(world) {
      const pool = world.control(1)
      await world.scope(pool, world.a, (tx) => seesOnlyOwn(tx, 'jobs', world.a))
      const after = await seesNothing(world, asRole(pool)).catch(
        (error: { code?: string }) => error,
      )
      if (after instanceof assert.AssertionError) throw after
      assert.equal(after, undefined, 'the policy failed on a reused connection')
    },
  },
  {
    number: 3,
    sentence: 'a tenant sees, changes and deletes nothing of another, in any table',
    wide: true,
    run: (world) =>
      unchanged(world, async () => {
        const pool = world.control(1)
        for (const table of world.tables) {
          const aimed = { text: '', values: [world.b] }
          await world.scope(pool, world.a, async (tx) => {
            await seesOnlyOwn(tx, table, world.a)
            assert.equal(await count(tx, `${table} where tenant_id = $1`, [world.b]), 0)
            const update = `update ${table} set tenant_id = tenant_id where tenant_id = $1`
            assert.equal(await tx.execute({ ...aimed, text: update }), 0, `${table}: updated`)
            const remove = `delete from ${table} where tenant_id = $1`
            assert.equal(await tx.execute({ ...aimed, text: remove }), 0, `${table}: deleted`)
          })
        }
      }),
  },
  {
    number: 4,
    sentence: 'a tenant inserts no row of another, in any table',
    wide: true,
    run: (world) =>
      unchanged(world, async () => {
        const pool = world.control(1)
        for (const [table, row] of Object.entries(rowsOf(world.b, 'c'))) {
          await rejects(
            world.scope(pool, world.a, (tx) => tx.execute(insertOf(table, world.b, row))),
            '42501',
          )
        }
      }),
  },
  {
    number: 5,
    sentence: 'a tenant moves no row of its own to another, in any table',
    wide: true,
    run: (world) =>
      unchanged(world, async () => {
        const pool = world.control(1)
        for (const table of world.tables) {
          const move = { text: `update ${table} set tenant_id = $1`, values: [world.b] }
          await rejects(
            world.scope(pool, world.a, (tx) => tx.execute(move)),
            '42501',
          )
        }
      }),
  },
  {
    number: 7,
    sentence: "a reference to another tenant's row fails just as one to a row that does not exist",
    wide: true,
    async run(world) {
      const pool = world.control(1)
      const version = rowsOf(world.a, 'c').pipeline_versions
      for (const name of ['flow-b', 'flow-nowhere']) {
        const insert = insertOf('pipeline_versions', world.a, { ...version, name, plan_id: name })
        await rejects(
          world.scope(pool, world.a, (tx) => tx.execute(insert)),
          '23503',
        )
      }
    },
  },
  {
    number: 8,
    sentence: "deleting a tenant's row leaves every row of another tenant",
    wide: true,
    async run(world) {
      const pool = world.control(1)
      const add = insertOf('pipelines', world.a, { name: 'shared', current_version: 1 })
      await world.scope(pool, world.a, (tx) => tx.execute(add))
      const child = { ...rowsOf(world.b, 'c').pipeline_versions, name: 'shared', plan_id: 'x' }
      await world
        .scope(pool, world.b, (tx) => tx.execute(insertOf('pipeline_versions', world.b, child)))
        .catch(() => {})
      const rowsOfB = () =>
        world.db.admin('select count(*) from pipeline_versions where tenant_id = $1', [world.b])
      const before = await rowsOfB()
      await world.scope(pool, world.a, (tx) =>
        tx.execute({ text: `delete from pipelines where name = 'shared'` }),
      )
      assert.deepEqual(await rowsOfB(), before, 'a row of another tenant went with it')
    },
  },
  {
    number: 9,
    sentence: 'views and functions show a tenant its own rows only, and without a tenant nothing',
    async run(world) {
      const relations = await world.db.admin<{ name: string }>(
        `select c.oid::regclass::text as name from pg_class c
         where c.relnamespace in ('weir'::regnamespace, 'app'::regnamespace)
           and c.relkind in ('v', 'm') and has_table_privilege('weir_control', c.oid, 'select')`,
      )
      const pool = world.control(1)
      for (const { name } of relations) {
        await world.scope(pool, world.a, (tx) => seesOnlyOwn(tx, name, world.a))
        assert.equal(await count(asRole(pool), name), 0, `${name}: rows were seen without a tenant`)
      }
      const faults = (await findFaults(world.db)).filter((fault) => /view|definer/.test(fault))
      assert.deepEqual(faults, [])
    },
  },
  {
    number: 10,
    sentence: 'a partition cannot be read past the policies of its table',
    async run(world) {
      const partitions = await world.db.admin<{ name: string }>(
        `select c.oid::regclass::text as name from pg_class c
         where c.relnamespace = 'weir'::regnamespace and c.relispartition`,
      )
      for (const { name } of partitions) {
        await rejects(query(world.control(1), { text: `select from ${name}` }), '42501')
      }
      const faults = (await findFaults(world.db)).filter((fault) => /partition/.test(fault))
      assert.deepEqual(faults, [])
    },
  },
  {
    number: 11,
    sentence: 'a prepared statement with one plan for all shows each tenant its own rows',
    async run(world) {
      const pool = world.control(1)
      const [mode] = await query<{ plan_cache_mode: string }>(pool, {
        text: 'show plan_cache_mode',
      })
      assert.equal(mode?.plan_cache_mode, 'force_generic_plan')
      for (let round = 0; round < 12; round += 1) {
        const own = round % 2 === 0 ? world.a : world.b
        const rows = await world.scope(pool, own, (tx) =>
          tx.query({ name: 'all-jobs', text: 'select tenant_id from jobs' }),
        )
        assert.deepEqual(rows, [{ tenant_id: own }])
      }
    },
  },
  {
    number: 12,
    sentence: 'the plans that a function keeps show each tenant its own rows',
    async run(world) {
      await world.db.admin(
        `create or replace function app.seen() returns uuid[] language plpgsql stable
           set search_path = pg_catalog, pg_temp as
           $$ begin return array(select tenant_id from weir.jobs); end $$`,
      )
      const pool = world.control(1)
      for (let round = 0; round < 12; round += 1) {
        const own = round % 2 === 0 ? world.a : world.b
        const rows = await world.scope(pool, own, (tx) =>
          tx.query({ text: 'select app.seen()::text[] as seen' }),
        )
        assert.deepEqual(rows, [{ seen: [own] }])
      }
    },
  },
  {
    number: 13,
    sentence: 'an expression inside a query cannot become another tenant',
    async run(world) {
      const text = `select id::text from jobs
        union all select set_config('app.tenant_id', '${world.b}', true)
        union all select input from jobs`
      await rejects(
        world.scope(world.control(1), world.a, (tx) => tx.query({ text })),
        '42501',
      )
    },
  },
  {
    number: 14,
    sentence: 'a second statement smuggled into a query is refused',
    async run(world) {
      const text = `select 1; set local app.tenant_id = '${world.b}'; select input from jobs`
      await rejects(
        world.scope(world.control(1), world.a, (tx) => tx.query({ text })),
        '42601',
      )
    },
  },
  {
    number: 15,
    sentence: 'the tenant of a transaction is set once',
    async run(world) {
      const again = { text: 'select app.set_tenant($1)', values: [world.b] }
      await rejects(
        world.scope(world.control(1), world.a, (tx) => tx.query(again)),
        '42501',
      )
    },
  },
  {
    number: 17,
    sentence: 'rolling back to a savepoint takes back a tenant that was set after it',
    async run(world) {
      const client = await world.control(1).connect()
      try {
        await client.query('begin')
        await client.query('savepoint s')
        await client.query('select app.set_tenant($1)', [world.a])
        await client.query('rollback to savepoint s')
        assert.deepEqual((await client.query('select from jobs')).rows, [])
      } finally {
        client.release(true)
      }
    },
  },
  {
    number: 18,
    sentence: 'switching row security off is an error, not a way around it',
    async run(world) {
      const pool = world.control(1)
      await rejects(
        world.scope(pool, world.a, async (tx) => {
          await tx.query({ text: 'set local row_security = off' })
          await tx.query({ text: 'select input from jobs' })
        }),
        '42501',
      )
    },
  },
  {
    number: 19,
    sentence: 'truncate, copy, do, temporary tables, temporary functions and the like are denied',
    async run(world) {
      const attempts = [
        'truncate jobs',
        'copy jobs from stdin',
        'do $$ begin perform 1; end $$',
        'create temporary table t (id integer)',
        'create function pg_temp.f() returns integer language sql as $$ select 1 $$',
        'create table weir.t (id integer)',
        'create table public.t (id integer)',
        'select pg_sleep(0)',
        'select pg_terminate_backend(pg_backend_pid())',
        `select query_to_xml('select 1', true, true, '')`,
        `select pg_notify('channel', 'x')`,
        'select lo_create(0)',
        `select pg_read_file('/etc/passwd')`,
        `copy (select 1) to program 'true'`,
        'alter table jobs disable row level security',
        'drop policy jobs_tenant on jobs',
      ]
      for (const role of SERVICE_ROLES) {
        const pool = world.db.pool(role, 1)
        for (const text of attempts) await rejects(query(pool, { text }), '42501', '0A000')
      }
    },
  },
  {
    number: 24,
    sentence: 'no service can take the role of the owner, of another service or of a superuser',
    async run(world) {
      const roles = [...Object.keys(LOGIN_ROLES), 'weir_owner', 'weir_definer', 'postgres']
      for (const service of SERVICE_ROLES) {
        const pool = world.db.pool(service, 1)
        for (const role of roles.filter((each) => each !== service)) {
          await rejects(query(pool, { text: `set role ${role}` }), '42501')
          await rejects(query(pool, { text: `set session authorization ${role}` }), '42501')
        }
      }
    },
  },
  {
    number: 25,
    sentence: 'no service role has an attribute or is a member of anything',
    async run(world) {
      const faults = (await findFaults(world.db)).filter((fault) => /service role/.test(fault))
      assert.deepEqual(faults, [])
    },
  },
  {
    number: 27,
    sentence: 'a policy that lets everything through, added by mistake, opens nothing',
    wide: true,
    async run(world) {
      for (const table of world.tables) {
        await world.db.admin(`create policy planted on ${table} to weir_control using (true)`)
      }
      try {
        const pool = world.control(1)
        for (const table of world.tables) {
          await world.scope(pool, world.a, (tx) => seesOnlyOwn(tx, table, world.a))
        }
        await seesNothing(world, asRole(pool))
      } finally {
        for (const table of world.tables) await world.db.admin(`drop policy planted on ${table}`)
      }
    },
  },
  {
    number: 28,
    sentence: 'after work that threw, the next borrower of the connection sees nothing',
    async run(world) {
      const pool = world.control(1)
      await assert.rejects(
        world.scope(pool, world.a, async (tx) => {
          await seesOnlyOwn(tx, 'jobs', world.a)
          throw new Abort()
        }),
        Abort,
      )
      assert.equal(await count(asRole(pool), 'jobs'), 0, 'the next borrower saw rows')
    },
  },
  {
    number: 29,
    sentence: 'a transaction that could not be ended takes its connection with it',
    async run(world) {
      const pool = world.control(1)
      const client = await pool.connect()
      const send = client.query.bind(client)
      client.query = ((config: string | { text: string }) => {
        const text = typeof config === 'string' ? config : config.text
        return text === 'rollback' ? Promise.reject(new Error('lost')) : send(config as string)
      }) as typeof send
      client.release()
      await assert.rejects(
        world.scope(pool, world.a, async (tx) => {
          await seesOnlyOwn(tx, 'jobs', world.a)
          throw new Abort()
        }),
        Abort,
      )
      assert.equal(await count(asRole(pool), 'jobs'), 0, 'the next borrower saw rows')
    },
  },
  {
    number: 30,
    sentence: 'after a statement that the server cancelled, the next borrower sees nothing',
    async run(world) {
      const pool = world.control(1)
      await rejects(
        world.scope(pool, world.a, async (tx) => {
          await tx.query({ text: 'set local statement_timeout = 30' })
          await tx.query({ text: 'select count(*) from generate_series(1, 1000000000)' })
        }),
        '57014',
      )
      assert.equal(await count(asRole(pool), 'jobs'), 0, 'the next borrower saw rows')
    },
  },
  {
    number: 31,
    sentence: 'two tenants on two connections, 200 calls at once, many aborted, never meet',
    async run(world) {
      const pool = world.control(2)
      let foreign = 0
      const call = async (index: number) => {
        const own = index % 2 === 0 ? world.a : world.b
        await world
          .scope(pool, own, async (tx) => {
            const rows = await tx.query<{ tenant_id: string }>({
              text: 'select tenant_id from jobs',
            })
            if (rows.length !== 1 || rows[0]?.tenant_id !== own) foreign += 1
            if (index % 5 === 0) throw new Abort()
          })
          .catch((error) => {
            if (!(error instanceof Abort)) foreign += 1
          })
      }
      for (let round = 0; round < 5; round += 1) {
        await Promise.all(Array.from({ length: 200 }, (_, index) => call(round + index)))
      }
      assert.equal(foreign, 0, 'rows of another tenant were seen')
    },
  },
  {
    number: 59,
    sentence: 'a tenant can neither reset its own counters nor make a job past admission',
    async run(world) {
      const pool = world.control(1)
      const attempts = [
        'update tenant_usage set queued = 0',
        `update tenant_usage set tat = '-infinity'`,
        'delete from tenant_usage',
        'insert into job_queue select * from job_queue',
        'insert into jobs select * from jobs',
        'delete from submit_keys',
        `update jobs set status = 'completed'`,
      ]
      for (const text of attempts) {
        await rejects(
          world.scope(pool, world.a, (tx) => tx.query({ text })),
          denied.code,
        )
      }
    },
  },
  {
    number: 69,
    sentence: 'the catalogue holds every rule of the house',
    async run(world) {
      assert.deepEqual(await findFaults(world.db), [])
    },
  },
]

export function checkOf(number: number): Check {
  const found = checks.find((check) => check.number === number)
  if (found === undefined) throw new Error(`there is no check ${number}`)
  return found
}
