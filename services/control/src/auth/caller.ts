import type { Role } from '@weir/contracts'

/** Who makes a request, as the credential alone says it. */
export type Caller = {
  readonly role: Role
  /** The tenant whose things the request may touch; undefined for an operator outside of tenants. */
  readonly tenant: { readonly id: string; readonly name: string } | undefined
  /** For logs and the audit: `key:<id>` or `operator`. */
  readonly actor: string
  readonly scopes: readonly string[]
  /** Why an operator acts inside a tenant. */
  readonly reason?: string
}

/** Viewers see payloads only with the scope for it; who may submit them may read them. */
export function mayReadPayloads({ role, scopes }: Caller): boolean {
  return role !== 'viewer' || scopes.includes('payload:read')
}
