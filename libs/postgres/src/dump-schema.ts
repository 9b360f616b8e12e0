import type pg from 'pg'

// A dump of our two schemas from the catalogue, the same text on every supported version: for
// reading, and for a test that compares. Not meant to be restored from.

type Section = { readonly title: string; readonly text: string }

const schemas = `(select oid from pg_namespace where nspname in ('weir', 'app'))`

/** Roles as names; 0 is everybody. */
const grants = (acl: string, kind: string, owner: string) => `
  (select string_agg(line, e'\\n' order by line) from (
    select format('grant %s%s to %s', string_agg(lower(x.privilege_type), ', ' order by x.privilege_type),
      ${acl === 'a.attacl' ? `' (' || a.attname || ')'` : `''`},
      case when x.grantee = 0 then 'public' else x.grantee::regrole::text end) as line
    from aclexplode(coalesce(${acl}, acldefault('${kind}', ${owner}))) x
    where x.grantee <> ${owner}
    group by x.grantee) g)`

const sections: readonly Section[] = [
  {
    title: 'schemas',
    text: `select n.nspname || coalesce(e'\\n' || ${grants('n.nspacl', 'n', 'n.nspowner')}, '') as line
      from pg_namespace n where n.oid in ${schemas} order by n.nspname`,
  },
  {
    title: 'tables',
    text: `select format(e'%s %s.%s%s\\n%s%s%s%s%s%s',
        -- What a view says is in its migration: versions of Postgres write it differently.
        case c.relkind when 'v' then 'view' else 'table' end, n.nspname, c.relname,
        coalesce(' with (' || array_to_string(c.reloptions, ', ') || ')', ''),
        (select string_agg(format('  %s %s%s%s%s', a.attname, format_type(a.atttypid, a.atttypmod),
            case when a.attnotnull then ' not null' else '' end,
            case when a.attidentity <> '' then ' generated always as identity'
              else coalesce(' default ' || pg_get_expr(d.adbin, d.adrelid), '') end,
            case when a.attstorage <> t.typstorage then ' storage ' || a.attstorage::text else '' end),
            e'\\n' order by a.attnum)
          from pg_attribute a
          join pg_type t on t.oid = a.atttypid
          left join pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
          where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped),
        -- PostgreSQL 18 also lists every "not null" as a constraint.
        coalesce((select e'\\n' || string_agg(format('  constraint %s %s', k.conname,
            pg_get_constraintdef(k.oid)), e'\\n' order by k.conname)
          from pg_constraint k where k.conrelid = c.oid and k.contype <> 'n'), ''),
        coalesce((select e'\\n' || string_agg('  ' || pg_get_indexdef(i.indexrelid), e'\\n'
            order by i.indexrelid::regclass::text)
          from pg_index i where i.indrelid = c.oid and not exists (
            select from pg_constraint k where k.conindid = i.indexrelid and k.contype in ('p', 'u'))), ''),
        case when c.relrowsecurity then e'\\n  row security enabled' ||
          case when c.relforcerowsecurity then ' and forced' else '' end else '' end,
        coalesce((select e'\\n' || string_agg(format('  policy %s as %s for %s to %s%s%s', p.polname,
            case when p.polpermissive then 'permissive' else 'restrictive' end,
            case p.polcmd when '*' then 'all' when 'r' then 'select' when 'a' then 'insert'
              when 'w' then 'update' else 'delete' end,
            (select string_agg(r::regrole::text, ', ' order by r::regrole::text)
              from unnest(p.polroles) r),
            coalesce(' using ' || pg_get_expr(p.polqual, c.oid), ''),
            coalesce(' with check ' || pg_get_expr(p.polwithcheck, c.oid), '')), e'\\n'
            order by p.polname)
          from pg_policy p where p.polrelid = c.oid), ''),
        coalesce(e'\\n' || ${grants('c.relacl', 'r', 'c.relowner')}, '') ||
        coalesce((select e'\\n' || string_agg(own.line, e'\\n' order by own.line) from (
          select ${grants('a.attacl', 'c', 'c.relowner')} as line
          from pg_attribute a where a.attrelid = c.oid and a.attacl is not null) own), '')) as line
      from pg_class c join pg_namespace n on n.oid = c.relnamespace
      where c.relnamespace in ${schemas} and c.relkind in ('r', 'p', 'v', 'm')
      order by n.nspname, c.relname`,
  },
  {
    title: 'functions',
    text: `select format(e'%s\\nowner %s%s', pg_get_functiondef(p.oid), p.proowner::regrole,
        coalesce(e'\\n' || ${grants('p.proacl', 'f', 'p.proowner')}, '')) as line
      from pg_proc p join pg_namespace n on n.oid = p.pronamespace
      where p.pronamespace in ${schemas}
      order by n.nspname, p.proname, pg_get_function_identity_arguments(p.oid)`,
  },
  {
    title: 'settings of roles',
    text: `select format('%s %s', s.setrole::regrole, array_to_string(array(
        select c from unnest(s.setconfig) c order by c), ', ')) as line
      from pg_db_role_setting s
      where s.setdatabase = 0 and s.setrole::regrole::text like 'weir\\_%' order by 1`,
  },
]

/** The schema as text, in one order whatever the order of creation. */
export async function dumpSchema(client: pg.Client): Promise<string> {
  const parts = ['-- Written by dump-schema-main.ts; not to be edited.']
  // Names are written with their schema only where it is not on the path.
  await client.query('set search_path = pg_catalog')
  for (const { title, text } of sections) {
    const reply = await client.query<{ line: string }>(text)
    parts.push(`-- ${title}`, ...reply.rows.map((row) => row.line))
  }
  return `${parts.join('\n\n').replaceAll(/[ \t]+$/gm, '')}\n`
}
