import { limits } from '@weir/contracts'
import { Type } from 'typebox'
import { mayReadPayloads } from '../auth/caller.ts'
import type { Control } from '../control.ts'
import { callerOf, tenantOf } from '../http/caller-of.ts'
import { JSON_TYPE } from '../http/content-type.ts'
import { whenGone } from '../http/gone.ts'
import { notFound } from '../http/not-found.ts'
import { closed, nameParams } from '../http/schemas.ts'
import type { App } from '../http/type-provider.ts'
import { firstEvents } from '../jobs/job-events.ts'
import { jobSchema } from '../jobs/job-schema.ts'
import { viewJob } from '../jobs/job-view.ts'
import { showJob } from '../jobs/load-job.ts'
import { waitForEnd } from '../jobs/wait-for-end.ts'
import { idempotencyKeySchema, submitSchema } from '../submit/job-schema.ts'
import { findInputFaults, inputText, invalidInput, toNewJob } from '../submit/prepare.ts'
import { toMismatch } from '../submit/refusal.ts'
import { refusalOf, refuseWithoutRoom } from '../submit/refuse-full.ts'

export const SUBMIT_ERRORS = [
  'invalid_input',
  'idempotency_mismatch',
  'rate_limited',
  'quota_exceeded',
  'backpressure',
] as const

export const waitSchema = Type.Optional(Type.Integer({ minimum: 0, maximum: limits.waitMs }))

/** The way in for one job. */
export function addSubmitRoutes(app: App, control: Control): void {
  const { targets, inputs, admission, metrics } = control

  app.route({
    method: 'POST',
    url: '/v1/pipelines/:name/jobs',
    bodyLimit: limits.requestBytes,
    config: { permission: 'jobs:submit', consumes: [JSON_TYPE], errors: SUBMIT_ERRORS },
    schema: {
      summary: 'Submit a job; with `wait`, answer when its run has ended',
      params: nameParams,
      querystring: Type.Object({ wait: waitSchema }, closed),
      headers: Type.Object({ 'idempotency-key': Type.Optional(idempotencyKeySchema) }),
      body: submitSchema,
      response: { 202: jobSchema, 200: jobSchema },
    },
    handler: async (request, reply) => {
      const start = performance.now()
      const tenant = tenantOf(request)
      const { body, params, scope } = request
      const target = await targets(tenant, params.name, body.version)
      if (target === undefined) throw notFound()
      const input = inputText(body.input)
      const faults = await findInputFaults(inputs, target.inputSchema, [input], () => '/input')
      if (faults.length > 0) {
        metrics.submits.inc({ outcome: 'invalid' })
        throw invalidInput(faults)
      }
      const idempotencyKey = request.headers['idempotency-key']
      const said = idempotencyKey === undefined ? body : { ...body, idempotencyKey }
      const job = toNewJob(params.name, target, said, input, scope)
      await refuseWithoutRoom(control, tenant, [{ target, job }])
      const answer = await admission.submit(tenant, job)
      metrics.submits.inc({ outcome: answer.outcome })
      if (answer.outcome === 'refused') throw await refusalOf(control, tenant, target, answer)
      if (answer.outcome === 'repeated' && !answer.sameBody) {
        throw toMismatch('/idempotency-key')
      }
      scope.jobId = answer.id
      reply.header('location', `/v1/jobs/${answer.id}`)
      if (answer.outcome === 'repeated') reply.header('idempotency-replayed', 'true')
      const shown = { payloads: mayReadPayloads(callerOf(request)), outputs: false, input: false }
      const { wait = 0 } = request.query
      if (wait > 0) {
        const signal = whenGone(reply, control.closing)
        const isFresh = answer.outcome === 'admitted'
        const until = { untilMs: start + wait, signal, isFresh }
        const ended = await waitForEnd(control, tenant, answer.id, until, shown)
        if (ended !== undefined) return ended
      }
      reply.status(202)
      if (wait > 0 || answer.outcome === 'repeated') {
        return (await showJob(control, tenant, answer.id, shown)) ?? gone()
      }
      // What the database would say of a job that was queued this very moment, without asking it.
      const row = {
        ...job,
        run: 1,
        status: 'queued',
        submittedAt: answer.submittedAt,
        dispatchedAt: null,
        finishedAt: null,
        notAfter: null,
        error: null,
        failedStep: null,
        lastSeq: 0,
        held: false,
        endedSteps: [],
        input: null,
      } as const
      return viewJob(row, firstEvents(row), target.plan, shown)
    },
  })
}

function gone(): never {
  throw new Error('a job that was admitted is not there')
}
