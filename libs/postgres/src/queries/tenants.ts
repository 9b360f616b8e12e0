import type { Tx } from '../statement.ts'

/**
 * Stands in place of a tenant for what concerns the installation: operators' audit entries, and
 * transactions that write to installation-wide tables only.
 */
export const INSTALLATION = '00000000-0000-8000-8000-000000000000'

export type Quotas = {
  readonly submitRatePerSecond: number
  readonly submitBurst: number
  readonly maxQueuedJobs: number
  readonly maxInFlightJobs: number
  readonly maxPayloadBytes: number
  readonly maxStoredBytes: number
  readonly maxPipelines: number
  readonly weight: number
}

export type Tenant = {
  readonly id: string
  readonly name: string
  readonly suspended: boolean
  readonly quotas: Quotas
  readonly createdAt: Date
}

export type TenantChange = {
  readonly name?: string
  readonly suspended?: boolean
  readonly quotas?: Partial<Quotas>
}

type TenantRow = Omit<Tenant, 'quotas'> & Quotas

const quotaColumns = {
  submitRatePerSecond: 'submit_rate_per_second',
  submitBurst: 'submit_burst',
  maxQueuedJobs: 'max_queued_jobs',
  maxInFlightJobs: 'max_in_flight_jobs',
  maxPayloadBytes: 'max_payload_bytes',
  maxStoredBytes: 'max_stored_bytes',
  maxPipelines: 'max_pipelines',
  weight: 'weight',
} as const satisfies Record<keyof Quotas, string>

const columns = `tenant_id as id, name, suspended, created_at as "createdAt", ${Object.entries(
  quotaColumns,
)
  .map(([name, column]) => `${column} as "${name}"`)
  .join(', ')}`

function toTenant(row: TenantRow): Tenant {
  const { id, name, suspended, createdAt, ...quotas } = row
  return { id, name, suspended, quotas, createdAt }
}

/**
 * Creates a tenant; call in a transaction of the new tenant (`withTenant(pool, id, …)`). Quotas
 * that are not named have their defaults. A taken name is SQLSTATE 23505.
 */
export async function insertTenant(
  tx: Tx,
  tenant: { readonly id: string; readonly name: string; readonly quotas?: Partial<Quotas> },
): Promise<Tenant> {
  const { names, values } = assignments(tenant.quotas ?? {})
  const rows = await tx.query<TenantRow>({
    text: `insert into tenants (${['tenant_id', 'name', ...names].join(', ')})
      values (${[tenant.id, tenant.name, ...values].map((_, index) => `$${index + 1}`).join(', ')})
      returning ${columns}`,
    values: [tenant.id, tenant.name, ...values],
  })
  await tx.execute({
    text: 'insert into tenant_usage (tenant_id) values ($1)',
    values: [tenant.id],
  })
  return toTenant(rows[0] as TenantRow)
}

export async function getTenant(tx: Tx, tenant: string): Promise<Tenant | undefined> {
  const rows = await tx.query<TenantRow>({
    name: 'get-tenant',
    text: `select ${columns} from tenants where tenant_id = $1 and deleted_at is null`,
    values: [tenant],
  })
  return rows[0] && toTenant(rows[0])
}

/** All tenants, newest first, after (older than) the given id: for operators. Needs no tenant. */
export async function listTenants(tx: Tx, limit: number, after?: string): Promise<Tenant[]> {
  const rows = await tx.query<TenantRow>({
    name: 'list-tenants',
    text: `select ${columns} from app.list_tenants($1::uuid, $2::integer)`,
    values: [after ?? null, limit],
  })
  return rows.map(toTenant)
}

/** Changes what is named; undefined where there is no such tenant. */
export async function updateTenant(
  tx: Tx,
  tenant: string,
  change: TenantChange,
): Promise<Tenant | undefined> {
  const { names, values } = assignments(change.quotas ?? {})
  if (change.name !== undefined) {
    names.push('name')
    values.push(change.name)
  }
  if (change.suspended !== undefined) {
    names.push('suspended')
    values.push(change.suspended)
  }
  if (names.length === 0) return getTenant(tx, tenant)
  const rows = await tx.query<TenantRow>({
    text: `update tenants set ${names.map((name, index) => `${name} = $${index + 2}`).join(', ')}
      where tenant_id = $1 and deleted_at is null returning ${columns}`,
    values: [tenant, ...values],
  })
  return rows[0] && toTenant(rows[0])
}

/**
 * Marks a tenant as deleted: its keys find nothing any more, nothing of it is dispatched. The name
 * becomes free. False where there is no such tenant.
 */
export async function deleteTenant(tx: Tx, tenant: string): Promise<boolean> {
  const changed = await tx.execute({
    text: `update tenants
      set deleted_at = now(), suspended = true, name = left(name, 60) || ' ' || tenant_id
      where tenant_id = $1 and deleted_at is null`,
    values: [tenant],
  })
  return changed === 1
}

function assignments(quotas: Partial<Quotas>): { names: string[]; values: unknown[] } {
  const names: string[] = []
  const values: unknown[] = []
  for (const [name, column] of Object.entries(quotaColumns)) {
    const value = quotas[name as keyof Quotas]
    if (value === undefined) continue
    names.push(column)
    values.push(value)
  }
  return { names, values }
}
