import { isUuid, newUuid, WeirError } from '@weir/contracts'
import {
  type ApiKey,
  asTenant,
  insertApiKey,
  insertAudit,
  listApiKeys,
  revokeApiKey,
  withTenant,
} from '@weir/postgres'
import { Type } from 'typebox'
import { entryOf } from '../audit/entry.ts'
import { formatApiKey, hashSecret, newApiKey } from '../auth/api-key.ts'
import type { Control } from '../control.ts'
import { tenantOf } from '../http/caller-of.ts'
import { JSON_TYPE } from '../http/content-type.ts'
import { notFound } from '../http/not-found.ts'
import { closed, idParams, nullable, oneOf, time } from '../http/schemas.ts'
import { toTime, toTimeOrNull } from '../http/times.ts'
import type { App } from '../http/type-provider.ts'

const KEYS_LISTED_MAX = 500
const role = oneOf(['admin', 'developer', 'submitter', 'viewer'] as const)
const scopes = Type.Array(oneOf(['payload:read'] as const), { maxItems: 1 })

const keySchema = Type.Object({
  id: Type.String(),
  name: Type.String(),
  role,
  scopes,
  createdAt: time,
  expiresAt: nullable(time),
  revokedAt: nullable(time),
})

const toKey = ({ id, name, role, scopes, createdAt, expiresAt, revokedAt }: ApiKey) => ({
  id,
  name,
  role,
  scopes,
  createdAt: toTime(createdAt),
  expiresAt: toTimeOrNull(expiresAt),
  revokedAt: toTimeOrNull(revokedAt),
})

/** A tenant's own keys. */
export function addKeyRoutes(app: App, { pool, keys }: Control): void {
  app.route({
    method: 'POST',
    url: '/v1/keys',
    config: { permission: 'keys:manage', consumes: [JSON_TYPE] },
    schema: {
      summary: 'Add a key; it is shown once',
      body: Type.Object(
        {
          name: Type.String({ minLength: 1, maxLength: 100 }),
          role,
          scopes: Type.Optional(scopes),
          expiresAt: Type.Optional(time),
        },
        closed,
      ),
      response: {
        201: Type.Interface([keySchema], { key: Type.String() }),
      },
    },
    handler: async (request, reply) => {
      const tenant = tenantOf(request)
      const { name, role, scopes = [] } = request.body
      const expiresAt =
        request.body.expiresAt === undefined ? null : new Date(request.body.expiresAt)
      if (expiresAt !== null && !(expiresAt.getTime() > Date.now())) {
        const errors = [{ path: '/expiresAt', code: 'past', message: 'must be in the future' }]
        throw new WeirError('invalid_request', 'The key would have expired already.', { errors })
      }
      const key = newApiKey()
      const id = newUuid()
      const secretHash = hashSecret(key.secret)
      const row = await withTenant(pool, tenant, async (tx) => {
        const detail = { name, role, scopes: [...scopes] }
        await insertAudit(tx, tenant, entryOf(request, 'key.create', `key:${id}`, detail))
        return insertApiKey(tx, tenant, {
          id,
          keyId: key.keyId,
          secretHash,
          name,
          role,
          scopes,
          expiresAt,
        })
      })
      reply.status(201).header('location', `/v1/keys/${id}`)
      return { ...toKey(row), key: formatApiKey(key) }
    },
  })

  app.route({
    method: 'GET',
    url: '/v1/keys',
    config: { permission: 'keys:manage' },
    schema: {
      summary: 'The newest 500 keys, revoked ones too',
      response: { 200: Type.Object({ keys: Type.Array(keySchema) }) },
    },
    handler: async (request) => {
      const tenant = tenantOf(request)
      const rows = await listApiKeys(asTenant(pool, tenant), tenant, KEYS_LISTED_MAX)
      return { keys: rows.map(toKey) }
    },
  })

  app.route({
    method: 'DELETE',
    url: '/v1/keys/:id',
    config: { permission: 'keys:manage' },
    schema: {
      summary: 'Revoke a key, everywhere within 30 s',
      params: idParams,
      response: { 204: Type.Null() },
    },
    handler: async (request, reply) => {
      const tenant = tenantOf(request)
      const { id } = request.params
      if (!isUuid(id)) throw notFound()
      const isRevoked = await withTenant(pool, tenant, async (tx) => {
        const revoked = await revokeApiKey(tx, tenant, id)
        if (revoked) {
          await insertAudit(tx, tenant, entryOf(request, 'key.revoke', `key:${id}`, null))
        }
        return revoked
      })
      if (!isRevoked) throw notFound()
      keys.forget(id)
      return reply.status(204).send()
    },
  })
}
