import { type FieldError, limits, newUuid, WeirError } from '@weir/contracts'
import { Type } from 'typebox'
import type { Control } from '../control.ts'
import { tenantOf } from '../http/caller-of.ts'
import { JSON_TYPE, NDJSON_TYPE } from '../http/content-type.ts'
import { notFound } from '../http/not-found.ts'
import { nameParams } from '../http/schemas.ts'
import type { App } from '../http/type-provider.ts'
import type { Submit } from '../submit/admit.ts'
import { type BatchJob, batchSchema } from '../submit/job-schema.ts'
import { type JobTrace, openJobTrace } from '../submit/job-trace.ts'
import { findInputFaults, inputText, invalidInput, toNewJob } from '../submit/prepare.ts'
import { refusalOf, refuseWithoutRoom } from '../submit/refuse-full.ts'
import type { Target } from '../submit/targets.ts'
import { SUBMIT_ERRORS } from './submit.ts'

/** A batch may have as many keys as its jobs together. */
const KEYS_MAX = 20 * limits.jsonKeys

/** The way in for many jobs at once: all of them, or none. */
export function addBatchRoutes(app: App, control: Control): void {
  const { targets, inputs, admission, metrics } = control

  async function findTargets(
    tenant: string,
    name: string,
    jobs: readonly BatchJob[],
  ): Promise<Map<number | undefined, Target>> {
    const current = await targets(tenant, name, undefined)
    if (current === undefined) throw notFound()
    const found = new Map<number | undefined, Target>([[undefined, current]])
    for (const [index, { version }] of jobs.entries()) {
      if (found.has(version)) continue
      const target = await targets(tenant, name, version)
      if (target === undefined) {
        const message = 'is no version of this pipeline'
        throw invalidInput([{ path: `/jobs/${index}/version`, code: 'unknown_version', message }])
      }
      found.set(version, target)
    }
    return found
  }

  async function checkInputs(
    jobs: readonly BatchJob[],
    texts: readonly string[],
    found: ReadonlyMap<number | undefined, Target>,
  ): Promise<FieldError[]> {
    const errors: FieldError[] = []
    for (const [version, { inputSchema }] of found) {
      const indexes = [...jobs.keys()].filter((index) => jobs[index]?.version === version)
      const own = indexes.map((index) => texts[index] as string)
      const pathOf = (at: number) => `/jobs/${indexes[at]}/input`
      errors.push(...(await findInputFaults(inputs, inputSchema, own, pathOf)))
    }
    return errors
  }

  app.route({
    method: 'POST',
    url: '/v1/pipelines/:name/jobs/batch',
    bodyLimit: limits.batchBytes,
    config: {
      permission: 'jobs:submit',
      consumes: [JSON_TYPE, NDJSON_TYPE],
      errors: SUBMIT_ERRORS,
      jsonKeysMax: KEYS_MAX,
    },
    // What is wrong with one of the jobs is an invalid job, not an invalid request.
    attachValidation: true,
    schema: {
      summary: 'Submit up to 10,000 jobs, all or none; also one job a line as application/x-ndjson',
      params: nameParams,
      body: batchSchema,
      response: {
        202: Type.Object({ accepted: Type.Integer(), ids: Type.Array(Type.String()) }),
      },
    },
    handler: async (request, reply) => {
      throwInvalid(request.validationError)
      const tenant = tenantOf(request)
      const { jobs } = request.body
      const { name } = request.params
      const found = await findTargets(tenant, name, jobs)
      const texts = jobs.map(({ input }, index) => textAt(input, index))
      const errors = await checkInputs(jobs, texts, found)
      if (errors.length > 0) {
        metrics.submits.inc({ outcome: 'invalid' }, jobs.length)
        throw invalidInput(errors)
      }
      const { scope } = request
      const traces = jobs.map(() => openJobTrace(scope))
      const rows = jobs.map((job, index) => {
        const { traceparent } = traces[index] as JobTrace
        const context = { traceparent, correlationId: scope.correlationId }
        return toNewJob(
          name,
          found.get(job.version) as Target,
          job,
          texts[index] as string,
          context,
        )
      })
      const submits = rows.map((job, index) => {
        return { target: found.get(jobs[index]?.version) as Target, job }
      })
      // For what is said where a quota is full the first one speaks for all.
      const target = found.get(jobs[0]?.version) as Target
      await refuseWithoutRoom(control, tenant, submits)
      const answers = await admission.submitBatch(tenant, rows)
      const refused = answers.find(({ outcome }) => outcome === 'refused')
      if (refused?.outcome === 'refused') {
        metrics.submits.inc({ outcome: 'refused' }, jobs.length)
        throw await refusalOf(control, tenant, target, refused)
      }
      const isReplay = answers.every(({ outcome }) => outcome === 'repeated')
      if (isReplay) reply.header('idempotency-replayed', 'true')
      for (const [index, { outcome }] of answers.entries()) {
        if (outcome !== 'refused') metrics.submits.inc({ outcome })
        if (outcome === 'admitted') traces[index]?.admit({ tenant, ...(rows[index] as Submit) })
      }
      reply.status(202)
      const ids = answers.map((answer) => (answer.outcome === 'refused' ? newUuid() : answer.id))
      return { accepted: ids.length, ids }
    },
  })
}

function textAt(input: unknown, index: number): string {
  try {
    return inputText(input)
  } catch (error) {
    if (!WeirError.is(error)) throw error
    throw invalidInput([{ path: `/jobs/${index}/input`, code: error.code, message: error.message }])
  }
}

function throwInvalid(error: unknown): void {
  if (!WeirError.is(error)) {
    if (error !== undefined && error !== null) throw error
    return
  }
  const isJob = error.errors?.some(({ path }) => /^\/jobs\/\d+/.test(path)) === true
  throw isJob
    ? new WeirError('invalid_input', error.message, { errors: error.errors ?? [] })
    : error
}
