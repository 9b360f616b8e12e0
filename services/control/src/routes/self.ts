import { ROLES } from '@weir/contracts'
import { asTenant, getTenant, getUsage } from '@weir/postgres'
import { Type } from 'typebox'
import type { Control } from '../control.ts'
import { callerOf, tenantOf } from '../http/caller-of.ts'
import { notFound } from '../http/not-found.ts'
import { nullable, oneOf } from '../http/schemas.ts'
import type { App } from '../http/type-provider.ts'

const quotaUse = Type.Object({ limit: Type.Integer(), used: Type.Integer() })

/** Who am I, and how much of my quotas do I use? */
export function addSelfRoutes(app: App, { pool }: Control): void {
  app.route({
    method: 'GET',
    url: '/v1/whoami',
    config: { permission: 'self:read' },
    schema: {
      summary: 'Tenant and role of the credential',
      response: {
        200: Type.Object({
          role: oneOf(ROLES),
          actor: Type.String(),
          scopes: Type.Array(Type.String()),
          tenant: nullable(Type.Object({ id: Type.String(), name: Type.String() })),
        }),
      },
    },
    handler: async (request) => {
      const { role, actor, scopes, tenant } = callerOf(request)
      return { role, actor, scopes, tenant: tenant ?? null }
    },
  })

  app.route({
    method: 'GET',
    url: '/v1/usage',
    config: { permission: 'usage:read' },
    schema: {
      summary: 'Each quota with its use',
      response: {
        200: Type.Object({
          tenant: Type.Object({ id: Type.String(), name: Type.String() }),
          quotas: Type.Object({
            submitRatePerSecond: Type.Object({ limit: Type.Integer() }),
            submitBurst: Type.Object({ limit: Type.Integer(), available: Type.Integer() }),
            maxQueuedJobs: quotaUse,
            maxInFlightJobs: quotaUse,
            maxPayloadBytes: Type.Object({ limit: Type.Integer() }),
            maxStoredBytes: quotaUse,
            maxPipelines: quotaUse,
            weight: Type.Object({ limit: Type.Integer() }),
          }),
        }),
      },
    },
    handler: async (request) => {
      const id = tenantOf(request)
      const tx = asTenant(pool, id)
      const [tenant, usage] = await Promise.all([getTenant(tx, id), getUsage(tx, id)])
      if (tenant === undefined || usage === undefined) throw notFound()
      const { quotas } = tenant
      return {
        tenant: { id, name: tenant.name },
        quotas: {
          submitRatePerSecond: { limit: quotas.submitRatePerSecond },
          submitBurst: { limit: quotas.submitBurst, available: usage.submitTokens },
          maxQueuedJobs: { limit: quotas.maxQueuedJobs, used: usage.queuedJobs },
          maxInFlightJobs: { limit: quotas.maxInFlightJobs, used: usage.inFlightJobs },
          maxPayloadBytes: { limit: quotas.maxPayloadBytes },
          maxStoredBytes: { limit: quotas.maxStoredBytes, used: usage.storedBytes },
          maxPipelines: { limit: quotas.maxPipelines, used: usage.pipelines },
          weight: { limit: quotas.weight },
        },
      }
    },
  })
}
