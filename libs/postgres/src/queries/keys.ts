import type { Role } from '@weir/contracts'
import type { Tx } from '../statement.ts'

export type TenantRole = Exclude<Role, 'operator'>

export type ApiKey = {
  readonly id: string
  readonly name: string
  readonly role: TenantRole
  readonly scopes: readonly string[]
  readonly createdAt: Date
  readonly expiresAt: Date | null
  readonly revokedAt: Date | null
}

/** A key as the door needs it, found before the tenant is known. */
export type FoundKey = {
  readonly tenant: string
  readonly tenantName: string
  readonly suspended: boolean
  readonly id: string
  readonly name: string
  readonly role: TenantRole
  readonly scopes: readonly string[]
  readonly secretHash: Buffer
  readonly expiresAt: Date | null
  readonly revokedAt: Date | null
}

/** Needs no tenant. Keys of deleted tenants are not found; expiry and revocation are the caller's. */
export async function findApiKey(tx: Tx, keyId: string): Promise<FoundKey | undefined> {
  const rows = await tx.query<FoundKey>({
    name: 'find-api-key',
    text: `select tenant_id as tenant, tenant_name as "tenantName", suspended, id, name, role, scopes,
        secret_hash as "secretHash", expires_at as "expiresAt", revoked_at as "revokedAt"
      from app.find_api_key($1)`,
    values: [keyId],
  })
  return rows[0]
}

export async function insertApiKey(
  tx: Tx,
  tenant: string,
  key: {
    readonly id: string
    readonly keyId: string
    readonly secretHash: Buffer
    readonly name: string
    readonly role: TenantRole
    readonly scopes: readonly string[]
    readonly expiresAt: Date | null
  },
): Promise<ApiKey> {
  const rows = await tx.query<ApiKey>({
    text: `insert into api_keys (tenant_id, id, key_id, secret_hash, name, role, scopes, expires_at)
      values ($1, $2, $3, $4, $5, $6, $7::text[], $8) returning ${columns}`,
    values: [
      tenant,
      key.id,
      key.keyId,
      key.secretHash,
      key.name,
      key.role,
      key.scopes,
      key.expiresAt,
    ],
  })
  return rows[0] as ApiKey
}

const columns = `id, name, role, scopes, created_at as "createdAt", expires_at as "expiresAt",
  revoked_at as "revokedAt"`

/** Newest first, revoked ones too, so that their end can be seen. */
export async function listApiKeys(tx: Tx, tenant: string, limit: number): Promise<ApiKey[]> {
  return tx.query<ApiKey>({
    text: `select ${columns} from api_keys where tenant_id = $1 order by id desc limit $2`,
    values: [tenant, limit],
  })
}

/** Revokes for good; false where there is no such key. Repeating it changes nothing. */
export async function revokeApiKey(tx: Tx, tenant: string, id: string): Promise<boolean> {
  const changed = await tx.execute({
    text: `update api_keys set revoked_at = coalesce(revoked_at, now())
      where tenant_id = $1 and id = $2`,
    values: [tenant, id],
  })
  return changed === 1
}
