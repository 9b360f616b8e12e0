import { isTerminal, type JobEvent, WeirError } from '@weir/contracts'
import { asTenant, listJobs } from '@weir/postgres'
import { Type } from 'typebox'
import { mayReadPayloads } from '../auth/caller.ts'
import type { Control } from '../control.ts'
import { callerOf, tenantOf } from '../http/caller-of.ts'
import { whenGone } from '../http/gone.ts'
import { jobOf } from '../http/job-of.ts'
import { notFound } from '../http/not-found.ts'
import { closed, idParams } from '../http/schemas.ts'
import type { App, Request } from '../http/type-provider.ts'
import { formatCursor, parseCursor } from '../jobs/cursor.ts'
import { streamEvents } from '../jobs/event-stream.ts'
import { withoutPayload } from '../jobs/job-events.ts'
import { eventSchema, jobSchema, jobSummarySchema } from '../jobs/job-schema.ts'
import { summarise } from '../jobs/job-view.ts'
import { listQuerySchema, toFilter } from '../jobs/list-query.ts'
import { loadJob, showJob } from '../jobs/load-job.ts'
import { waitForEnd } from '../jobs/wait-for-end.ts'
import { waitSchema } from './submit.ts'

const INCLUDABLE = new Set(['input', 'outputs'])
/** Of a log, held at a time for each who follows it: some 64 KiB each. */
const STREAM_CHUNKS = 4
const SEQ_MAX = 2_147_483_647

/** Jobs and what happened to them. */
export function addJobRoutes(app: App, control: Control): void {
  const { pool } = control

  app.route({
    method: 'GET',
    url: '/v1/jobs',
    config: { permission: 'jobs:read' },
    schema: {
      summary: 'Jobs, newest first',
      querystring: listQuerySchema,
      response: {
        200: Type.Object({
          jobs: Type.Array(jobSummarySchema),
          nextCursor: Type.Optional(Type.String()),
        }),
      },
    },
    handler: async (request) => {
      const tenant = tenantOf(request)
      const { limit = 50, cursor } = request.query
      const before = cursor === undefined ? {} : { before: parseCursor(cursor) }
      const page = { limit: limit + 1, ...before }
      const rows = await listJobs(asTenant(pool, tenant), tenant, toFilter(request.query), page)
      const shown = rows.slice(0, limit)
      const last = rows.length > limit ? shown.at(-1) : undefined
      return {
        jobs: shown.map(summarise),
        ...(last === undefined ? {} : { nextCursor: formatCursor(last.id) }),
      }
    },
  })

  app.route({
    method: 'GET',
    url: '/v1/jobs/:id',
    config: { permission: 'jobs:read' },
    schema: {
      summary: 'A job; with `wait`, when its run has ended or the time is over',
      params: idParams,
      querystring: Type.Object(
        {
          include: Type.Optional(Type.String({ pattern: '^(input|outputs)(,(input|outputs))?$' })),
          wait: waitSchema,
        },
        closed,
      ),
      response: { 200: jobSchema },
    },
    handler: async (request, reply) => {
      const start = performance.now()
      const { tenant, id } = jobOf(request, request.params.id)
      const { include = '', wait = 0 } = request.query
      const caller = callerOf(request)
      const wanted = new Set(include.split(',').filter((one) => INCLUDABLE.has(one)))
      const shown = {
        payloads: mayReadPayloads(caller),
        outputs: wanted.has('outputs'),
        input: wanted.has('input'),
        traceUrl: caller.role === 'operator' ? control.jaegerUrl : undefined,
      }
      if (wait > 0) {
        const signal = whenGone(reply, control.closing)
        const until = { untilMs: start + wait, signal, isFresh: false }
        const ended = await waitForEnd(control, tenant, id, until, shown)
        if (ended !== undefined) return ended
      }
      const job = await showJob(control, tenant, id, shown)
      if (job === undefined) throw notFound()
      return job
    },
  })

  app.route({
    method: 'GET',
    url: '/v1/jobs/:id/events',
    config: { permission: 'jobs:read' },
    schema: {
      summary: 'What happened to a job; live as text/event-stream, resumed by Last-Event-ID',
      params: idParams,
      querystring: Type.Object(
        { after: Type.Optional(Type.Integer({ minimum: 0, maximum: SEQ_MAX })) },
        closed,
      ),
      response: { 200: Type.Object({ events: Type.Array(eventSchema) }) },
    },
    handler: async (request, reply) => {
      const { tenant, id } = jobOf(request, request.params.id)
      const canSee = mayReadPayloads(callerOf(request))
      const show = (event: JobEvent) => (canSee ? event : withoutPayload(event))
      const after = lastEventId(request) ?? request.query.after ?? 0
      const isStream = /\btext\/event-stream\b/.test(request.headers.accept ?? '')
      const page = isStream ? { chunksMax: STREAM_CHUNKS } : {}
      const load = async (seq: number) => loadJob(pool, tenant, id, { after: seq, ...page })
      const loaded = await load(after)
      if (loaded === undefined) throw notFound()
      if (!isStream) return { events: loaded.events.map(show) }
      const signal = whenGone(reply, control.closing)
      return streamEvents(reply, {
        after,
        signal,
        show,
        load: async (seq) => {
          const next = await load(seq)
          if (next === undefined) return { events: [], hasMore: false, hasEnded: true }
          const { events, isWhole, job } = next
          return { events, hasMore: !isWhole, hasEnded: isWhole && isTerminal(job.status) }
        },
        changed: (look) => control.waiters.until(id, Number.POSITIVE_INFINITY, signal, look),
      })
    },
  })
}

function lastEventId(request: Request): number | undefined {
  const header = request.headers['last-event-id']
  if (header === undefined || header === '') return undefined
  const seq = typeof header === 'string' && /^\d{1,10}$/.test(header) ? Number(header) : Number.NaN
  if (seq <= SEQ_MAX) return seq
  const errors = [
    { path: '/last-event-id', code: 'pattern', message: 'must be the number of an event' },
  ]
  throw new WeirError('invalid_request', 'The header Last-Event-ID is not valid.', { errors })
}
