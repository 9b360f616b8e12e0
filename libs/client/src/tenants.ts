import type { Page } from './pipelines.ts'
import { segment, type Transport } from './transport.ts'

export const QUOTA_NAMES = [
  'submitRatePerSecond',
  'submitBurst',
  'maxQueuedJobs',
  'maxInFlightJobs',
  'maxPayloadBytes',
  'maxStoredBytes',
  'maxPipelines',
  'weight',
] as const
export type QuotaName = (typeof QUOTA_NAMES)[number]
export type Quotas = Readonly<Record<QuotaName, number>>

export type Tenant = {
  readonly id: string
  readonly name: string
  readonly suspended: boolean
  readonly quotas: Quotas
  readonly createdAt: string
}

export type TenantChange = {
  readonly name?: string
  readonly suspended?: boolean
  readonly quotas?: Partial<Quotas>
}

export type Tenants = ReturnType<typeof createTenants>

export function createTenants(transport: Transport) {
  const pathOf = (id: string): string => `/v1/tenants/${segment(id)}`

  return {
    /** The key of its administrator comes once. */
    create(name: string, quotas?: Partial<Quotas>) {
      return transport.call<{ id: string; name: string; adminKey: string }>({
        method: 'POST',
        path: '/v1/tenants',
        json: { name, ...(quotas && { quotas }) },
      })
    },

    list(page: Page = {}) {
      return transport.call<{ tenants: readonly Tenant[]; nextCursor?: string }>({
        method: 'GET',
        path: '/v1/tenants',
        query: page,
      })
    },

    get(id: string): Promise<Tenant> {
      return transport.call<Tenant>({ method: 'GET', path: pathOf(id) })
    },

    update(id: string, change: TenantChange): Promise<Tenant> {
      return transport.call<Tenant>({ method: 'PATCH', path: pathOf(id), json: change })
    },

    delete(id: string): Promise<void> {
      return transport.call<void>({ method: 'DELETE', path: pathOf(id) })
    },
  }
}
