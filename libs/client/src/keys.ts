import type { Role } from '@weir/contracts'
import { segment, type Transport } from './transport.ts'

export type TenantRole = Exclude<Role, 'operator'>

export type ApiKey = {
  readonly id: string
  readonly name: string
  readonly role: TenantRole
  readonly scopes: readonly string[]
  readonly createdAt: string
  readonly expiresAt: string | null
  readonly revokedAt: string | null
}

export type KeyRequest = {
  readonly name: string
  readonly role: TenantRole
  readonly scopes?: readonly string[]
  /** RFC 3339. */
  readonly expiresAt?: string
}

export type Keys = ReturnType<typeof createKeys>

export function createKeys(transport: Transport) {
  return {
    /** The key itself comes once. */
    create(request: KeyRequest): Promise<ApiKey & { readonly key: string }> {
      return transport.call({ method: 'POST', path: '/v1/keys', json: request })
    },

    async list(): Promise<readonly ApiKey[]> {
      const path = '/v1/keys'
      return (await transport.call<{ keys: readonly ApiKey[] }>({ method: 'GET', path })).keys
    },

    /** Effective everywhere within 30 s. */
    revoke(id: string): Promise<void> {
      return transport.call<void>({ method: 'DELETE', path: `/v1/keys/${segment(id)}` })
    },
  }
}
