import type { Transport } from './transport.ts'

export type AuditEntry = {
  readonly id: string
  readonly at: string
  /** `key:<id>`, `operator`, `weir` for what came about by itself, or `nobody` that is known. */
  readonly actor: string
  readonly action: string
  readonly object: string
  readonly decision: 'allowed' | 'denied'
  /** Empty where it was no request. */
  readonly requestId: string
  readonly reason: string | null
  /** By the schema of the action. */
  readonly detail: Readonly<Record<string, unknown>> | null
}

export type AuditFilter = {
  readonly action?: string
  readonly actor?: string
  readonly decision?: AuditEntry['decision']
  /** RFC 3339. */
  readonly from?: string
  readonly to?: string
  readonly limit?: number
  readonly cursor?: string
}

export type AuditPage = { readonly entries: readonly AuditEntry[]; readonly nextCursor?: string }

export function createAudit(transport: Transport) {
  return {
    /** Newest first: the tenant's own, or the installation's for an operator inside of none. */
    list(filter: AuditFilter = {}): Promise<AuditPage> {
      return transport.call<AuditPage>({ method: 'GET', path: '/v1/audit', query: filter })
    },
  }
}
