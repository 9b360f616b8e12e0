import { isUuid, newUuid, WeirError } from '@weir/contracts'
import {
  asRole,
  asTenant,
  constraintOf,
  deleteTenant,
  getTenant,
  INSTALLATION,
  insertApiKey,
  insertAudit,
  insertTenant,
  listTenants,
  type Tenant,
  updateTenant,
  withTenant,
} from '@weir/postgres'
import { Type } from 'typebox'
import { entryOf, type NewEntry } from '../audit/entry.ts'
import { formatApiKey, hashSecret, newApiKey } from '../auth/api-key.ts'
import type { Control } from '../control.ts'
import { JSON_TYPE } from '../http/content-type.ts'
import { notFound } from '../http/not-found.ts'
import { closed, idParams, limitOf, time } from '../http/schemas.ts'
import { toTime } from '../http/times.ts'
import type { App } from '../http/type-provider.ts'
import { formatCursor, parseCursor } from '../jobs/cursor.ts'

const count = (maximum: number, minimum = 0) => Type.Optional(Type.Integer({ minimum, maximum }))

/** Every quota with its bounds; those that are left out have their defaults. */
export const quotasSchema = Type.Object(
  {
    submitRatePerSecond: count(1_000_000, 1),
    submitBurst: count(10_000_000, 1),
    maxQueuedJobs: count(2_000_000_000),
    maxInFlightJobs: count(2_000_000_000),
    maxPayloadBytes: count(1_048_576),
    maxStoredBytes: count(Number.MAX_SAFE_INTEGER),
    maxPipelines: count(2_000_000_000),
    weight: count(1_000, 1),
  },
  closed,
)

const name = Type.String({ minLength: 1, maxLength: 100, pattern: '^[a-zA-Z0-9][a-zA-Z0-9 ._-]*$' })

const tenantSchema = Type.Object({
  id: Type.String(),
  name: Type.String(),
  suspended: Type.Boolean(),
  quotas: Type.Required(quotasSchema),
  createdAt: time,
})

const toTenant = ({ id, name, suspended, quotas, createdAt }: Tenant) => ({
  id,
  name,
  suspended,
  quotas,
  createdAt: toTime(createdAt),
})

/** Tenants, for operators. */
export function addTenantRoutes(app: App, { pool, audit }: Control): void {
  /** The log of a tenant that is gone can be asked for no more, so the installation's has it too. */
  const copy = (entry: NewEntry) => audit.write(INSTALLATION, entry)

  app.route({
    method: 'POST',
    url: '/v1/tenants',
    config: { permission: 'tenants:manage', consumes: [JSON_TYPE], errors: ['conflict'] },
    schema: {
      summary: 'Add a tenant; its first key is shown once',
      body: Type.Object({ name, quotas: Type.Optional(quotasSchema) }, closed),
      response: {
        201: Type.Object({ id: Type.String(), name: Type.String(), adminKey: Type.String() }),
      },
    },
    handler: async (request, reply) => {
      const { name, quotas = {} } = request.body
      const id = newUuid()
      const key = newApiKey()
      const entry = entryOf(request, 'tenant.create', `tenant:${id}`, { name, quotas })
      await nameOnce(() =>
        withTenant(pool, id, async (tx) => {
          await insertTenant(tx, { id, name, quotas })
          await insertApiKey(tx, id, {
            id: newUuid(),
            keyId: key.keyId,
            secretHash: hashSecret(key.secret),
            name: 'first key',
            role: 'admin',
            scopes: ['payload:read'],
            expiresAt: null,
          })
          await insertAudit(tx, id, entry)
        }),
      )
      copy(entry)
      reply.status(201).header('location', `/v1/tenants/${id}`)
      return { id, name, adminKey: formatApiKey(key) }
    },
  })

  app.route({
    method: 'GET',
    url: '/v1/tenants',
    config: { permission: 'tenants:manage' },
    schema: {
      summary: 'All tenants, newest first',
      querystring: Type.Object(
        { limit: limitOf(50, 500), cursor: Type.Optional(Type.String()) },
        closed,
      ),
      response: {
        200: Type.Object({
          tenants: Type.Array(tenantSchema),
          nextCursor: Type.Optional(Type.String()),
        }),
      },
    },
    handler: async (request) => {
      const { limit = 50, cursor } = request.query
      const after = cursor === undefined ? undefined : parseCursor(cursor)
      const tenants = await listTenants(asRole(pool), limit + 1, after)
      const page = tenants.slice(0, limit)
      const last = tenants.length > limit ? page.at(-1) : undefined
      return {
        tenants: page.map(toTenant),
        ...(last === undefined ? {} : { nextCursor: formatCursor(last.id) }),
      }
    },
  })

  app.route({
    method: 'GET',
    url: '/v1/tenants/:id',
    config: { permission: 'tenants:manage' },
    schema: { summary: 'A tenant', params: idParams, response: { 200: tenantSchema } },
    handler: async (request) => {
      const { id } = request.params
      const tenant = isUuid(id) ? await getTenant(asTenant(pool, id), id) : undefined
      if (tenant === undefined) throw notFound()
      return toTenant(tenant)
    },
  })

  app.route({
    method: 'PATCH',
    url: '/v1/tenants/:id',
    config: { permission: 'tenants:manage', consumes: [JSON_TYPE], errors: ['conflict'] },
    schema: {
      summary: 'Change name, quotas or suspension of a tenant',
      params: idParams,
      body: Type.Object(
        {
          name: Type.Optional(name),
          suspended: Type.Optional(Type.Boolean()),
          quotas: Type.Optional(quotasSchema),
        },
        closed,
      ),
      response: { 200: tenantSchema },
    },
    handler: async (request) => {
      const { id } = request.params
      if (!isUuid(id)) throw notFound()
      const entry = entryOf(request, 'tenant.change', `tenant:${id}`, request.body)
      const changed = await nameOnce(() =>
        withTenant(pool, id, async (tx) => {
          const tenant = await updateTenant(tx, id, request.body)
          if (tenant !== undefined) await insertAudit(tx, id, entry)
          return tenant
        }),
      )
      if (changed === undefined) throw notFound()
      copy(entry)
      return toTenant(changed)
    },
  })

  app.route({
    method: 'DELETE',
    url: '/v1/tenants/:id',
    config: { permission: 'tenants:manage' },
    schema: {
      summary: 'Delete a tenant: its keys stop working, nothing of it is dispatched',
      params: idParams,
      response: { 204: Type.Null() },
    },
    handler: async (request, reply) => {
      const { id } = request.params
      if (!isUuid(id) || id === INSTALLATION) throw notFound()
      const entry = entryOf(request, 'tenant.delete', `tenant:${id}`, null)
      const isDeleted = await withTenant(pool, id, async (tx) => {
        const deleted = await deleteTenant(tx, id)
        if (deleted) await insertAudit(tx, id, entry)
        return deleted
      })
      if (!isDeleted) throw notFound()
      copy(entry)
      return reply.status(204).send()
    },
  })
}

async function nameOnce<T>(act: () => Promise<T>): Promise<T> {
  try {
    return await act()
  } catch (error) {
    if (constraintOf(error) !== 'tenants_name_key') throw error
    throw new WeirError('conflict', 'There is already a tenant of this name.', { cause: error })
  }
}
