import { type AuditAction, type AuditDetail, JOB_STATUSES, WeirError } from '@weir/contracts'
import { asTenant, countJobs } from '@weir/postgres'
import { Type } from 'typebox'
import { entryOf, type NewEntry } from '../audit/entry.ts'
import { mayReadPayloads } from '../auth/caller.ts'
import { filterSchema, toCancelFilter } from '../cancel/filter-body.ts'
import type { Control } from '../control.ts'
import { callerOf, tenantOf } from '../http/caller-of.ts'
import { JSON_TYPE } from '../http/content-type.ts'
import { jobOf } from '../http/job-of.ts'
import { notFound } from '../http/not-found.ts'
import { closed, idParams } from '../http/schemas.ts'
import type { App, Request } from '../http/type-provider.ts'
import { jobSchema } from '../jobs/job-schema.ts'
import { filterQuerySchema, toFilter } from '../jobs/list-query.ts'
import { showJob } from '../jobs/load-job.ts'

const reason = Type.Optional(Type.String({ minLength: 1, maxLength: 500 }))

const countsSchema = Type.Object({
  total: Type.Integer(),
  byStatus: Type.Object(
    Object.fromEntries(JOB_STATUSES.map((status) => [status, Type.Optional(Type.Integer())])),
  ),
})

/** The end of jobs before their time, and how many there are. */
export function addCancelRoutes(app: App, control: Control): void {
  const { pool, canceller } = control

  const countOf = async (tenant: string, filter: Parameters<typeof countJobs>[2]) => {
    const byStatus = await countJobs(asTenant(pool, tenant), tenant, filter)
    return { total: Object.values(byStatus).reduce((sum, jobs) => sum + jobs, 0), byStatus }
  }

  app.route({
    method: 'POST',
    url: '/v1/jobs/:id/cancel',
    config: {
      permission: 'jobs:cancel',
      consumes: [JSON_TYPE],
      errors: ['job_already_finished'],
    },
    // It needs no body: there is nothing that must be said.
    preValidation: async (request) => {
      request.body ??= {}
    },
    schema: {
      summary: 'End a job: at once where it is queued, else when its work has been cleaned up',
      params: idParams,
      body: Type.Object({ reason }, closed),
      response: { 202: jobSchema },
    },
    handler: async (request, reply) => {
      const { tenant, id } = jobOf(request, request.params.id)
      const caller = callerOf(request)
      const order = { reason: request.body.reason ?? null, actor: caller.actor }
      const entry = entryWithReason(request, 'job.cancel', `job:${id}`, order.reason, null)
      const outcome = await canceller.cancel(tenant, { id, ...order, entry })
      if (outcome === 'missing') throw notFound()
      if (outcome === 'refused') {
        throw new WeirError('job_already_finished', 'The job had ended before it was cancelled.')
      }
      const shown = { payloads: mayReadPayloads(caller), outputs: false, input: false }
      const job = await showJob(control, tenant, id, shown)
      if (job === undefined) throw notFound()
      reply.status(202)
      return job
    },
  })

  app.route({
    method: 'POST',
    url: '/v1/jobs/cancel',
    config: { permission: 'jobs:cancel', consumes: [JSON_TYPE] },
    schema: {
      summary: 'End all jobs that a filter names, or say with `dryRun` how many that would be',
      body: Type.Object(
        {
          filter: Type.Optional(filterSchema),
          all: Type.Optional(Type.Boolean()),
          dryRun: Type.Optional(Type.Boolean()),
          reason,
        },
        closed,
      ),
      response: {
        200: countsSchema,
        202: Type.Object({
          cancelled: Type.Integer(),
          cancelling: Type.Integer(),
          more: Type.Boolean(),
        }),
      },
    },
    handler: async (request, reply) => {
      const tenant = tenantOf(request)
      const { filter: body = {}, all = false, dryRun = false } = request.body
      const filter = toCancelFilter(body, all)
      if (dryRun) return filter === undefined ? NOTHING : await countOf(tenant, filter)
      reply.status(202)
      if (filter === undefined) return { cancelled: 0, cancelling: 0, more: false }
      const order = { reason: request.body.reason ?? null, actor: callerOf(request).actor }
      return canceller.cancelAll(tenant, {
        filter,
        order,
        toEntry: (counts) =>
          entryWithReason(request, 'jobs.cancel', 'jobs', order.reason, {
            filter: body,
            ...counts,
          }),
      })
    },
  })

  app.route({
    method: 'GET',
    url: '/v1/jobs/counts',
    config: { permission: 'jobs:read' },
    schema: {
      summary: 'How many jobs there are by status; the filters of the list',
      querystring: filterQuerySchema,
      response: { 200: countsSchema },
    },
    handler: async (request) => countOf(tenantOf(request), toFilter(request.query)),
  })
}

const NOTHING = { total: 0, byStatus: {} }

/** The reason that was given for it, else why an operator acts inside of the tenant. */
function entryWithReason<Action extends AuditAction>(
  request: Request,
  action: Action,
  object: string,
  reason: string | null,
  detail: AuditDetail<Action>,
): NewEntry {
  const entry = entryOf(request, action, object, detail)
  return reason === null ? entry : { ...entry, reason }
}
