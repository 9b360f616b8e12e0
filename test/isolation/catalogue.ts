import type { TestDatabase } from '../support/database.ts'

/** Tables of the whole installation: they have no tenant, on purpose. */
export const installationTables = [
  'contracts',
  'dispatch_clock',
  'leases',
  'ledger_offsets',
  'outbox',
  'stages',
]

/** Unique over all tenants, on purpose: only operators choose the one, nobody the other. */
const installationKeys = ['tenants_name_key', 'api_keys_key_id_key']

/** Without both of these the policy throws on a reused connection instead of showing nothing. */
const tenantExpression =
  "(tenant_id = ( SELECT (NULLIF(current_setting('app.tenant_id'::text, true), ''::text))::uuid AS \"nullif\"))"

const services = `array['weir_control', 'weir_dispatcher', 'weir_ledger', 'weir_watchdog']`
const ours = `in (select oid from pg_namespace where nspname in ('weir', 'app'))`

type Rule = { readonly rule: string; readonly text: string; readonly values?: unknown[] }

/** Each answers the names of what breaks it; generated from the catalogue, so new tables count. */
const rules: readonly Rule[] = [
  {
    rule: 'a table has a tenant or is known to be of the installation',
    text: `select c.relname as name from pg_class c
      where c.relnamespace = 'weir'::regnamespace and c.relkind in ('r', 'p') and not c.relispartition
        and c.relname <> all ($1::text[])
        and not exists (select from pg_attribute a
          where a.attrelid = c.oid and a.attname = 'tenant_id' and a.attnotnull and a.attnum = 1)`,
    values: [installationTables],
  },
  {
    rule: 'row security of a tenant table is enabled and forced',
    text: `select c.relname as name from pg_class c
      join pg_attribute a on a.attrelid = c.oid and a.attname = 'tenant_id'
      where c.relnamespace = 'weir'::regnamespace and c.relkind in ('r', 'p')
        and not (c.relrowsecurity and c.relforcerowsecurity)`,
  },
  {
    rule: 'a tenant table has the restrictive tenant policy for control, for every command',
    text: `select c.relname as name from pg_class c
      join pg_attribute a on a.attrelid = c.oid and a.attname = 'tenant_id'
      where c.relnamespace = 'weir'::regnamespace and c.relkind in ('r', 'p')
        and not exists (select from pg_policy p
          where p.polrelid = c.oid and not p.polpermissive and p.polcmd = '*'
            and 'weir_control'::regrole = any (p.polroles)
            and pg_get_expr(p.polqual, c.oid) = $1 and pg_get_expr(p.polwithcheck, c.oid) = $1)`,
    values: [tenantExpression],
  },
  {
    rule: 'a policy names its roles',
    text: `select p.polname as name from pg_policy p where p.polroles = array[0::oid]`,
  },
  {
    rule: 'a foreign key between tenant tables carries the tenant on both sides',
    text: `select k.conname as name from pg_constraint k
      where k.contype = 'f' and k.connamespace = 'weir'::regnamespace
        and exists (select from pg_attribute a
          where a.attrelid = k.confrelid and a.attname = 'tenant_id')
        and not exists (
          select from unnest(k.conkey, k.confkey) as c(own, other)
          join pg_attribute o on o.attrelid = k.conrelid and o.attnum = c.own
          join pg_attribute t on t.attrelid = k.confrelid and t.attnum = c.other
          where o.attname = 'tenant_id' and t.attname = 'tenant_id')`,
  },
  {
    rule: 'a unique key of a tenant table contains the tenant',
    text: `select i.indexrelid::regclass::text as name from pg_index i
      join pg_class c on c.oid = i.indrelid
      join pg_attribute a on a.attrelid = c.oid and a.attname = 'tenant_id'
      where c.relnamespace = 'weir'::regnamespace and i.indisunique
        and a.attnum <> all (i.indkey::int2[])
        and (select relname from pg_class where oid = i.indexrelid) <> all ($1::text[])`,
    values: [installationKeys],
  },
  {
    rule: 'a view reads with the rights of its reader',
    text: `select c.relname as name from pg_class c
      where c.relnamespace ${ours} and c.relkind = 'v'
        and not coalesce(c.reloptions @> array['security_invoker=true'], false)`,
  },
  {
    rule: 'there is no materialized view, which no policy can bind',
    text: `select c.relname as name from pg_class c
      where c.relnamespace ${ours} and c.relkind = 'm'`,
  },
  {
    rule: 'a definer function belongs to weir_definer, has a fixed search path and is not public',
    text: `select p.proname as name from pg_proc p
      where p.pronamespace ${ours} and p.prosecdef and (
        p.proowner <> 'weir_definer'::regrole
        or not exists (select from unnest(p.proconfig) s where s like 'search_path=%')
        or exists (select from aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) x
          where x.grantee = 0))`,
  },
  {
    rule: 'a function that reads settings is not immutable',
    text: `select p.proname as name from pg_proc p
      where p.pronamespace ${ours} and p.provolatile = 'i'
        and p.prosrc ~* 'current_setting|app\\.'`,
  },
  {
    rule: 'no service may truncate, reference or put triggers on a table',
    text: `select c.relname || ' ' || x.privilege_type as name from pg_class c
      cross join lateral aclexplode(c.relacl) x
      where c.relnamespace = 'weir'::regnamespace and c.relkind in ('r', 'p', 'v')
        and x.privilege_type in ('TRUNCATE', 'REFERENCES', 'TRIGGER', 'MAINTAIN')
        and x.grantee <> c.relowner`,
  },
  {
    rule: 'no service has a right on a partition or a sequence',
    text: `select c.relname as name from pg_class c
      cross join unnest(${services}) as s(role)
      where c.relnamespace = 'weir'::regnamespace
        and (c.relispartition and has_any_column_privilege(s.role, c.oid, 'select, insert, update')
          or c.relkind = 'S' and has_sequence_privilege(s.role, c.oid, 'usage, select, update'))`,
  },
  {
    rule: 'nothing is granted to everybody, nor for tables that are yet to come',
    text: `select c.relname as name from pg_class c cross join lateral aclexplode(c.relacl) x
      where c.relnamespace ${ours} and x.grantee = 0
      union all
      select defaclrole::regrole::text from pg_default_acl`,
  },
  {
    rule: 'everything belongs to the owner',
    text: `select c.relname as name from pg_class c
      where c.relnamespace ${ours} and c.relkind in ('r', 'p', 'v', 'm', 'S')
        and c.relowner <> 'weir_owner'::regrole`,
  },
  {
    rule: 'no column is an enum or jsonb: under row security no index would serve it',
    text: `select c.relname || '.' || a.attname as name from pg_class c
      join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
      join pg_type t on t.oid = a.atttypid
      where c.relnamespace = 'weir'::regnamespace and c.relkind in ('r', 'p')
        and (t.typtype = 'e' or t.typname in ('json', 'jsonb'))`,
  },
  {
    rule: 'a service role is no superuser, bypasses nothing, is a member of nothing',
    text: `select r.rolname as name from pg_roles r
      where r.rolname = any (${services}) and (r.rolsuper or r.rolbypassrls or r.rolcreaterole
        or r.rolcreatedb or r.rolreplication
        or exists (select from pg_auth_members m where m.member = r.oid))`,
  },
]

/** What breaks a rule, as sentences; none in a sound database. */
export async function findFaults(db: TestDatabase): Promise<string[]> {
  const faults: string[] = []
  for (const { rule, text, values } of rules) {
    const rows = await db.admin<{ name: string }>(text, values)
    for (const row of rows) faults.push(`${row.name}: ${rule}`)
  }
  return faults
}

/** Names of all tables that hold tenants' rows. */
export async function listTenantTables(db: TestDatabase): Promise<string[]> {
  const rows = await db.admin<{ name: string }>(
    `select c.relname as name from pg_class c
     join pg_attribute a on a.attrelid = c.oid and a.attname = 'tenant_id'
     where c.relnamespace = 'weir'::regnamespace and c.relkind in ('r', 'p') order by 1`,
  )
  return rows.map((row) => row.name)
}
