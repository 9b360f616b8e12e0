import { auditActions } from '@weir/contracts'
import {
  type AuditEntry,
  type AuditFilter,
  asTenant,
  INSTALLATION,
  listAudit,
} from '@weir/postgres'
import { Type } from 'typebox'
import type { Control } from '../control.ts'
import { callerOf } from '../http/caller-of.ts'
import { closed, limitOf, nullable, oneOf, time } from '../http/schemas.ts'
import { toTime } from '../http/times.ts'
import type { App } from '../http/type-provider.ts'
import { formatCursor, parseCursor } from '../jobs/cursor.ts'
import { toDates } from '../jobs/list-query.ts'

const DECISIONS = ['allowed', 'denied'] as const
const ACTIONS = Object.keys(auditActions) as (keyof typeof auditActions)[]

const entrySchema = Type.Object({
  id: Type.String(),
  at: time,
  actor: Type.String({ description: '`key:<id>`, `operator`, `weir`, or `nobody` that is known' }),
  action: oneOf(ACTIONS),
  object: Type.String(),
  decision: oneOf(DECISIONS),
  requestId: Type.String({ description: 'Empty where it was no request' }),
  reason: nullable(Type.String({ description: 'Of an operator inside of a tenant' })),
  detail: nullable(
    Type.Record(Type.String(), Type.Unknown(), { description: 'By the schema of the action' }),
  ),
})

const toEntry = ({ at, detail, ...rest }: AuditEntry) => ({
  ...rest,
  at: toTime(at),
  detail: detail === null ? null : (JSON.parse(detail) as unknown),
})

/** Who did what, and who was denied it. */
export function addAuditRoutes(app: App, { pool }: Control): void {
  app.route({
    method: 'GET',
    url: '/v1/audit',
    config: { permission: 'audit:read' },
    schema: {
      summary: 'The audit log, newest first: the tenant’s, or for operators the installation’s',
      querystring: Type.Object(
        {
          action: Type.Optional(oneOf(ACTIONS)),
          actor: Type.Optional(Type.String({ minLength: 1, maxLength: 100 })),
          decision: Type.Optional(oneOf(DECISIONS)),
          from: Type.Optional(time),
          to: Type.Optional(time),
          limit: limitOf(50, 500),
          cursor: Type.Optional(Type.String({ maxLength: 64 })),
        },
        closed,
      ),
      response: {
        200: Type.Object({
          entries: Type.Array(entrySchema),
          nextCursor: Type.Optional(Type.String()),
        }),
      },
    },
    handler: async (request) => {
      const { limit = 50, cursor, action, actor, decision, from, to } = request.query
      const tenant = callerOf(request).tenant?.id ?? INSTALLATION
      const filter: AuditFilter = {
        ...(action === undefined ? {} : { action }),
        ...(actor === undefined ? {} : { actor }),
        ...(decision === undefined ? {} : { decision }),
        ...toDates({ from, to }),
      }
      const before = cursor === undefined ? {} : { before: parseCursor(cursor) }
      const page = { limit: limit + 1, ...before }
      const rows = await listAudit(asTenant(pool, tenant), tenant, page, filter)
      const shown = rows.slice(0, limit)
      const last = rows.length > limit ? shown.at(-1) : undefined
      return {
        entries: shown.map(toEntry),
        ...(last === undefined ? {} : { nextCursor: formatCursor(last.id) }),
      }
    },
  })
}
