import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { Statement, Tx } from '@weir/postgres'
import { type Check, checkOf } from './checks.ts'
import { makeWorld, type TenantScope, type World } from './world.ts'

// Takes one control away at a time and shows that the check made for it then fails: the proof that
// the suite beside this file is alive.

type Mutation = {
  readonly sentence: string
  /** Checks that must notice. */
  readonly noticed: readonly number[]
  readonly sql?: readonly string[]
  readonly scope?: TenantScope
}

/** The check that reads the catalogue. */
const catalogue = 69

const expression = `tenant_id = (select nullif(current_setting('app.tenant_id', true), '')::uuid)`

const mutations: readonly Mutation[] = [
  {
    sentence: 'the tenant policy of a table is dropped',
    noticed: [69, 1, 3, 4, 5, 27],
    sql: ['drop policy jobs_tenant on jobs'],
  },
  {
    sentence: 'row security of a table is disabled',
    noticed: [69, 1.1, 11, 12, 28],
    sql: ['alter table jobs disable row level security'],
  },
  {
    sentence: 'row security of a table is no longer forced',
    noticed: [69, 1.1],
    sql: ['alter table jobs no force row level security'],
  },
  {
    sentence: 'the owner inherits what the functions may see',
    noticed: [1.1],
    sql: ['create policy leak on tenants to weir_owner using (true)'],
  },
  {
    sentence: 'the tenant policy is permissive instead of restrictive',
    noticed: [69, 27],
    sql: [
      'drop policy jobs_tenant on jobs',
      'drop policy jobs_base on jobs',
      `create policy jobs_tenant on jobs to weir_control using (${expression})
        with check (${expression})`,
    ],
  },
  {
    sentence: 'the tenant policy does not check what is written',
    noticed: [69, 4, 5],
    sql: [
      'drop policy pipelines_tenant on pipelines',
      `create policy pipelines_tenant on pipelines as restrictive to weir_control
        using (${expression}) with check (true)`,
    ],
  },
  {
    sentence: 'the tenant policy casts an empty setting',
    noticed: [69, 2],
    sql: [
      'drop policy jobs_tenant on jobs',
      `create policy jobs_tenant on jobs as restrictive to weir_control
        using (tenant_id = (select current_setting('app.tenant_id', true)::uuid))`,
    ],
  },
  {
    sentence: 'a function that reads the tenant is declared immutable',
    noticed: [69, 11],
    sql: [
      // The planner believes it: the first tenant's id is folded into the plan.
      `create function app.tenant_first() returns uuid language plpgsql immutable as
        $$ begin return nullif(current_setting('app.tenant_id', true), '')::uuid; end $$`,
      'drop policy jobs_tenant on jobs',
      `create policy jobs_tenant on jobs as restrictive to weir_control
        using (tenant_id = app.tenant_first())`,
    ],
  },
  {
    sentence: 'a foreign key leaves the tenant out',
    noticed: [69, 7, 8],
    sql: [
      'alter table pipeline_versions drop constraint pipeline_versions_name_fkey',
      'alter table pipelines add constraint pipelines_name_key unique (name)',
      `alter table pipeline_versions add constraint pipeline_versions_name_fkey
        foreign key (name) references pipelines (name) on delete cascade`,
    ],
  },
  {
    sentence: 'a view reads with the rights of a superuser',
    noticed: [69, 9],
    sql: [
      'create view weir.all_jobs as select tenant_id, input from weir.jobs',
      'grant select on weir.all_jobs to weir_control',
    ],
  },
  {
    sentence: 'a view of what ran no longer reads with the rights of its reader',
    noticed: [69, 9],
    sql: [
      'alter view weir.wide_tasks reset (security_invoker)',
      'alter view weir.wide_tasks owner to current_user',
    ],
  },
  {
    sentence: 'a materialized view keeps everybody’s rows',
    noticed: [69, 9],
    sql: [
      'create materialized view weir.kept_jobs as select tenant_id, input from weir.jobs',
      'grant select on weir.kept_jobs to weir_control',
    ],
  },
  {
    sentence: 'a definer function belongs to a superuser',
    noticed: [69, 9],
    sql: [
      `create function app.all_inputs() returns setof text language sql security definer
        as 'select input from weir.jobs'`,
    ],
  },
  {
    sentence: 'a service has a right on a partition',
    noticed: [69, 10],
    sql: [
      `create table weir.parts (tenant_id uuid not null, at integer, primary key (tenant_id, at))
        partition by range (at)`,
      'create table weir.parts_1 partition of weir.parts for values from (0) to (10)',
      'grant select on weir.parts_1 to weir_control',
    ],
  },
  {
    sentence: 'a table is granted whole, sequences and future tables too',
    noticed: [69],
    sql: ['alter default privileges in schema weir grant select on tables to weir_control'],
  },
  {
    sentence: 'a new table comes without a policy',
    noticed: [69],
    sql: [
      'create table weir.notes (tenant_id uuid not null, id uuid, primary key (tenant_id, id))',
    ],
  },
  {
    sentence: 'a new table comes without a tenant',
    noticed: [69],
    sql: ['create table weir.notes (id uuid primary key, body text)'],
  },
  {
    sentence: 'a unique key leaves the tenant out',
    noticed: [69],
    sql: ['create unique index jobs_correlation_key on jobs (correlation_id, id)'],
  },
  {
    sentence: 'everybody may call set_config',
    noticed: [13],
    sql: ['grant execute on function set_config(text, text, boolean) to public'],
  },
  {
    sentence: 'the latch lets a tenant be replaced',
    noticed: [15],
    sql: [
      `create or replace function app.set_tenant(tenant uuid) returns void
        language plpgsql security definer set search_path = pg_catalog, pg_temp as
        $$ begin perform set_config('app.tenant_id', tenant::text, true); end $$`,
    ],
  },
  {
    sentence: 'a service may truncate',
    noticed: [69, 19],
    sql: ['grant truncate on jobs to weir_control'],
  },
  {
    sentence: 'a service may make temporary tables',
    noticed: [19],
    sql: [
      `do $$ begin execute format('grant temporary on database %I to public',
      current_database()); end $$`,
    ],
  },
  {
    sentence: 'a service may run code blocks',
    noticed: [19],
    sql: ['grant usage on language plpgsql to public'],
  },
  {
    sentence: 'control may write its own counters',
    noticed: [59],
    sql: ['grant update on tenant_usage to weir_control'],
  },
  {
    sentence: 'control may insert jobs itself',
    noticed: [59],
    sql: ['grant insert on job_queue to weir_control'],
  },
  {
    sentence: 'statements travel as text in which another may hide',
    noticed: [14],
    scope: withRawClient(async (send, tenant, work) => {
      await send({ text: 'begin' })
      await send({ text: 'select app.set_tenant($1)', values: [tenant] })
      const value = await work()
      await send({ text: 'commit' })
      return value
    }),
  },
  {
    sentence: 'the tenant is set for the session',
    noticed: [2, 28, 30],
    scope: withRawClient(async (send, tenant, work) => {
      await send({ text: `set app.tenant_id = '${tenant}'` })
      return work()
    }),
  },
  {
    sentence: 'a connection is handed back inside its transaction',
    noticed: [28, 29, 31],
    scope: withRawClient(async (send, tenant, work) => {
      await send({ text: 'begin' })
      await send({ text: 'select app.set_tenant($1)', values: [tenant] })
      return work()
    }),
  },
]

/** A scope that always hands its connection back as it is. */
function withRawClient(
  run: <T>(
    send: (statement: Statement) => Promise<unknown>,
    tenant: string,
    work: () => Promise<T>,
  ) => Promise<T>,
): TenantScope {
  return async (pool, tenant, work) => {
    const client = await pool.connect()
    const send = (statement: Statement) =>
      client.query(statement.text, statement.values as unknown[] | undefined)
    const tx: Tx = {
      query: async (statement) => {
        const reply: unknown = await send(statement)
        // Of several statements the last one's rows.
        return (Array.isArray(reply) ? reply.at(-1) : reply).rows
      },
      execute: async (statement) => (await send(statement)).rowCount ?? 0,
    }
    try {
      return await run(send, tenant, () => work(tx))
    } finally {
      client.release()
    }
  }
}

/** A failure other than the check's own is none of its business, and fails the test. */
async function isNoticed(check: Check, world: World): Promise<boolean> {
  try {
    await check.run(world)
    return false
  } catch (error) {
    if (error instanceof assert.AssertionError) return true
    throw error
  }
}

// Most of the time goes into making databases.
describe('a check notices when', { concurrency: 4 }, () => {
  for (const mutation of mutations) {
    it(`${mutation.sentence} (${mutation.noticed.join(', ')})`, async () => {
      const unnoticed: string[] = []
      // The catalogue is only read, so it is looked at in the world of the check behind it; every
      // other check that fails may leave a world in any state.
      const readOnly = mutation.noticed.filter((number) => number === catalogue)
      const others = mutation.noticed.filter((number) => number !== catalogue)
      for (const [index, number] of (others.length > 0 ? others : readOnly).entries()) {
        const wide = checkOf(number).wide === true
        const world = await makeWorld({ wide, ...(mutation.scope && { scope: mutation.scope }) })
        try {
          for (const text of mutation.sql ?? []) await world.db.admin(text)
          const here = index === 0 && number !== catalogue ? [...readOnly, number] : [number]
          for (const each of here) {
            if (!(await isNoticed(checkOf(each), world))) {
              unnoticed.push(`${each}: ${checkOf(each).sentence}`)
            }
          }
        } finally {
          await world.db.drop()
        }
      }
      assert.deepEqual(unnoticed, [])
    })
  }
})
