import { withExplanation } from './explain.ts'
import type { Pool } from './pool.ts'
import type { ServiceRole } from './roles.ts'
import { SERVICE_ROLES } from './roles.ts'
import { query } from './transaction.ts'

/** 15.19 fixed cached plans under row security (CVE-2026-14666) in every major of its day. */
const versionFloor = 150_000

type Facts = {
  readonly role: string
  readonly version: number
  readonly superuser: boolean
  readonly bypassesRls: boolean
  readonly createsRoles: boolean
  readonly createsDatabases: boolean
  readonly memberships: string[]
  readonly owned: string[]
  readonly unprotected: string[]
  readonly mayCreate: string[]
  readonly mayCall: string[]
}

const factsText = `
  select current_user as role, current_setting('server_version_num')::integer as version,
    r.rolsuper as superuser, r.rolbypassrls as "bypassesRls", r.rolcreaterole as "createsRoles",
    r.rolcreatedb as "createsDatabases",
    array(select m.roleid::regrole::text from pg_auth_members m where m.member = r.oid) as memberships,
    array(select c.oid::regclass::text from pg_class c join pg_namespace n on n.oid = c.relnamespace
      where n.nspname in ('weir', 'app') and c.relowner = r.oid) as owned,
    array(select c.oid::regclass::text from pg_class c join pg_namespace n on n.oid = c.relnamespace
      join pg_attribute a on a.attrelid = c.oid and a.attname = 'tenant_id' and not a.attisdropped
      where n.nspname = 'weir' and c.relkind in ('r', 'p') and not (
        c.relrowsecurity and c.relforcerowsecurity
        and (not has_any_column_privilege(c.oid, 'select') or row_security_active(c.oid))
      )) as unprotected,
    array(select what from (values
        ('objects in ' || current_database(), has_database_privilege(current_database(), 'create')),
        ('temporary tables', has_database_privilege(current_database(), 'temporary')),
        ('objects in weir', has_schema_privilege('weir', 'create')),
        ('objects in app', has_schema_privilege('app', 'create')),
        ('objects in public', has_schema_privilege('public', 'create'))
      ) as v(what, may) where may) as "mayCreate",
    array(select p.oid::regprocedure::text from pg_proc p
      where p.pronamespace = 'pg_catalog'::regnamespace
        and p.proname in ('set_config', 'pg_terminate_backend', 'pg_sleep', 'query_to_xml')
        and has_function_privilege(p.oid, 'execute')) as "mayCall"
  from pg_roles r where r.rolname = current_user`

export type CheckRoleOptions = {
  /**
   * Told of the functions that the role may call where nobody was a superuser to take them away, as
   * on a managed server; without it they are a fault.
   */
  readonly onMayCall?: (functions: readonly string[]) => void
}

/**
 * Refuses a credential that could read past row security: call it before a service takes its first
 * request. Names every fault at once.
 *
 * @throws Error when the role is not one of the services', or may do more than it must
 */
export async function checkRole(
  pool: Pool,
  expected?: ServiceRole,
  { onMayCall }: CheckRoleOptions = {},
): Promise<void> {
  const [facts] = await withExplanation(() => query<Facts>(pool, { text: factsText }))
  if (facts === undefined) throw new Error('the database did not say what role this is')
  const isTold = onMayCall !== undefined && facts.mayCall.length > 0 && !facts.superuser
  const faults = faultsOf(isTold ? { ...facts, mayCall: [] } : facts, expected)
  if (faults.length === 0 && facts.role === 'weir_control') {
    // The proof of it all: without a tenant, control sees nobody.
    const [seen] = await query<{ tenants: number; jobs: number }>(pool, {
      text: `select (select count(*) from tenants)::integer as tenants,
        (select count(*) from (select from jobs limit 1) j)::integer as jobs`,
    })
    if (seen === undefined || seen.tenants + seen.jobs > 0) {
      faults.push('it sees rows without a tenant')
    }
  }
  if (faults.length > 0) {
    throw new Error(`the database role ${facts.role} is not safe to run with: ${faults.join('; ')}`)
  }
  if (isTold) onMayCall(facts.mayCall)
}

function faultsOf(facts: Facts, expected: ServiceRole | undefined): string[] {
  const faults: string[] = []
  const list = (fault: string, names: string[]) => {
    if (names.length > 0) faults.push(`${fault} ${names.join(', ')}`)
  }
  const wanted: readonly string[] = expected === undefined ? SERVICE_ROLES : [expected]
  if (!wanted.includes(facts.role)) faults.push(`it is not ${wanted.join(' or ')}`)
  if (facts.version < versionFloor) faults.push('the server is older than PostgreSQL 15')
  if (facts.superuser) faults.push('it is a superuser')
  if (facts.bypassesRls) faults.push('it bypasses row security')
  if (facts.createsRoles) faults.push('it may create roles')
  if (facts.createsDatabases) faults.push('it may create databases')
  list('it is a member of', facts.memberships)
  list('it owns', facts.owned)
  list('row security does not bind it on', facts.unprotected)
  list('it may create', facts.mayCreate)
  list('it may call', facts.mayCall)
  return faults
}
