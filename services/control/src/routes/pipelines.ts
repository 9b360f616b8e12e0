import { hash } from 'node:crypto'
import {
  type AuditAction,
  type AuditDetail,
  canonicalJson,
  limits,
  PIPELINE_NAME,
  WeirError,
} from '@weir/contracts'
import { compilePlan } from '@weir/core'
import {
  asTenant,
  deletePipeline,
  getPipeline,
  getVersion,
  insertAudit,
  insertVersion,
  listPipelines,
  listVersions,
  openPipeline,
  type PipelineVersion,
  setCurrentVersion,
  setPaused,
  type Tx,
  withTenant,
} from '@weir/postgres'
import { Type } from 'typebox'
import { entryOf } from '../audit/entry.ts'
import type { Control } from '../control.ts'
import { callerOf, tenantOf } from '../http/caller-of.ts'
import { JSON_TYPE, YAML_TYPE } from '../http/content-type.ts'
import { notFound } from '../http/not-found.ts'
import { closed, limitOf, nameParams, time } from '../http/schemas.ts'
import { toTime } from '../http/times.ts'
import type { App, Request } from '../http/type-provider.ts'
import { checkDocument } from '../pipelines/check-document.ts'
import { checkIfMatch } from '../pipelines/if-match.ts'

const DOCUMENT_TYPES = [JSON_TYPE, YAML_TYPE]
const BODY_BYTES = limits.pipelineBytes + 64 * 1024

/** Any JSON value: what is wrong with it is answered as faults of a pipeline, each with its path. */
const documentSchema = Type.Unknown({ description: 'A pipeline document, as JSON or YAML' })
const faultSchema = Type.Object({
  path: Type.String(),
  code: Type.String(),
  message: Type.String(),
})
const anyObject = Type.Unsafe<Record<string, unknown>>({ type: 'object' })

const publishedSchema = Type.Object({
  name: Type.String(),
  version: Type.Integer(),
  planId: Type.String(),
  warnings: Type.Array(faultSchema),
})

const pipelineSchema = Type.Object({
  name: Type.String(),
  version: Type.Integer(),
  paused: Type.Boolean(),
  createdAt: time,
})

const versionSummary = Type.Object({
  name: Type.String(),
  version: Type.Integer(),
  planId: Type.String(),
  createdAt: time,
  createdBy: Type.String(),
})
const versionSchema = Type.Interface([versionSummary], {
  document: anyObject,
  effective: anyObject,
})

const toSummary = (row: Omit<PipelineVersion, 'document' | 'effective' | 'plan'>) => ({
  name: row.name,
  version: row.version,
  planId: row.planId,
  createdAt: toTime(row.createdAt),
  createdBy: row.createdBy,
})

const toVersion = (row: PipelineVersion) => ({
  ...toSummary(row),
  document: JSON.parse(row.document),
  effective: JSON.parse(row.effective),
})

const versionParams = Type.Object({ name: Type.String(), version: Type.String() })
const quotedVersion = (version: number): string => `"${version}"`

type PipelineAction = Extract<AuditAction, `pipeline.${string}`>

/** A tenant's pipelines and their versions. */
export function addPipelineRoutes(app: App, control: Control): void {
  const { pool } = control

  const audit = <Action extends PipelineAction>(
    tx: Tx,
    request: Request,
    action: Action,
    name: string,
    detail: AuditDetail<Action>,
  ) => insertAudit(tx, tenantOf(request), entryOf(request, action, `pipeline:${name}`, detail))

  app.route({
    method: 'PUT',
    url: '/v1/pipelines/:name',
    bodyLimit: BODY_BYTES,
    config: {
      permission: 'pipelines:write',
      consumes: DOCUMENT_TYPES,
      errors: ['invalid_pipeline', 'version_conflict', 'quota_exceeded'],
    },
    schema: {
      summary: 'Publish a version of a pipeline, which becomes current',
      params: nameParams,
      headers: Type.Object({ 'if-match': Type.Optional(Type.String({ maxLength: 100 })) }),
      body: documentSchema,
      response: { 201: publishedSchema, 200: publishedSchema },
    },
    handler: async (request, reply) => {
      const tenant = tenantOf(request)
      const { name } = request.params
      if (!new RegExp(PIPELINE_NAME).test(name)) {
        const errors = [{ path: '/name', code: 'pattern', message: `must match ${PIPELINE_NAME}` }]
        throw new WeirError('invalid_request', 'The pipeline’s name is not valid.', { errors })
      }
      const checked = await checkDocument(control, request.body)
      if (checked.effective === undefined || checked.errors.length > 0) {
        const { errors } = checked
        throw new WeirError('invalid_pipeline', `The pipeline has ${errors.length} faults.`, {
          errors,
        })
      }
      const { document, effective, warnings } = checked
      const documentHash = hash('sha256', canonicalJson(document))
      const published = await withTenant(pool, tenant, async (tx) => {
        const draft = await openPipeline(tx, tenant, name)
        checkIfMatch(request.headers['if-match'], draft.currentVersion)
        if (draft.currentVersion > 0 && draft.documentHash === documentHash) {
          return { isNew: false, version: draft.currentVersion, planId: draft.planId as string }
        }
        if (draft.currentVersion === 0 && draft.otherPipelines >= draft.maxPipelines) {
          throw new WeirError('quota_exceeded', `The tenant has ${draft.maxPipelines} pipelines.`, {
            retryAfterS: 60,
            members: { cause: 'tenant', quota: 'maxPipelines' },
          })
        }
        const version = draft.latestVersion + 1
        const plan = compilePlan({ tenant, pipeline: name, version, effective })
        await insertVersion(tx, tenant, {
          name,
          version,
          planId: plan.id,
          documentHash,
          document: JSON.stringify(document),
          effective: JSON.stringify(effective),
          plan: JSON.stringify(plan),
          createdBy: callerOf(request).actor,
        })
        await audit(tx, request, 'pipeline.publish', name, { version })
        return { isNew: true, version, planId: plan.id }
      })
      const { isNew, version, planId } = published
      reply.status(isNew ? 201 : 200).header('etag', quotedVersion(version))
      if (isNew) reply.header('location', `/v1/pipelines/${name}/versions/${version}`)
      return { name, version, planId, warnings }
    },
  })

  app.route({
    method: 'POST',
    url: '/v1/pipelines/:name/validate',
    bodyLimit: BODY_BYTES,
    config: { permission: 'pipelines:read', consumes: DOCUMENT_TYPES },
    schema: {
      summary: 'Check a document, publish nothing',
      params: nameParams,
      body: documentSchema,
      response: {
        200: Type.Object({
          valid: Type.Boolean(),
          errors: Type.Array(faultSchema),
          warnings: Type.Array(faultSchema),
          effective: Type.Optional(anyObject),
        }),
      },
    },
    handler: async (request) => {
      const { errors, warnings, effective } = await checkDocument(control, request.body)
      const shown = effective === undefined ? {} : { effective }
      return { valid: errors.length === 0, errors, warnings, ...shown }
    },
  })

  app.route({
    method: 'GET',
    url: '/v1/pipelines',
    config: { permission: 'pipelines:read' },
    schema: {
      summary: 'Pipelines by name',
      querystring: Type.Object(
        { limit: limitOf(50, 500), cursor: Type.Optional(Type.String({ pattern: PIPELINE_NAME })) },
        closed,
      ),
      response: {
        200: Type.Object({
          pipelines: Type.Array(pipelineSchema),
          nextCursor: Type.Optional(Type.String()),
        }),
      },
    },
    handler: async (request) => {
      const tenant = tenantOf(request)
      const { limit = 50, cursor } = request.query
      const rows = await listPipelines(asTenant(pool, tenant), tenant, limit + 1, cursor)
      const page = rows.slice(0, limit)
      const last = rows.length > limit ? page.at(-1) : undefined
      return {
        pipelines: page.map(({ name, currentVersion, paused, createdAt }) => ({
          name,
          version: currentVersion,
          paused,
          createdAt: toTime(createdAt),
        })),
        ...(last === undefined ? {} : { nextCursor: last.name }),
      }
    },
  })

  app.route({
    method: 'GET',
    url: '/v1/pipelines/:name',
    config: { permission: 'pipelines:read' },
    schema: {
      summary: 'A pipeline with its current version',
      params: nameParams,
      response: { 200: Type.Interface([versionSchema], { paused: Type.Boolean() }) },
    },
    handler: async (request, reply) => {
      const tenant = tenantOf(request)
      const tx = asTenant(pool, tenant)
      const pipeline = await getPipeline(tx, tenant, request.params.name)
      if (pipeline === undefined) throw notFound()
      const row = await getVersion(tx, tenant, pipeline.name, pipeline.currentVersion)
      if (row === undefined) throw notFound()
      reply.header('etag', quotedVersion(row.version))
      return { ...toVersion(row), paused: pipeline.paused }
    },
  })

  app.route({
    method: 'GET',
    url: '/v1/pipelines/:name/versions',
    config: { permission: 'pipelines:read' },
    schema: {
      summary: 'Versions of a pipeline, newest first',
      params: nameParams,
      querystring: Type.Object(
        {
          limit: limitOf(50, 500),
          cursor: Type.Optional(Type.Integer({ minimum: 1, maximum: 2_147_483_647 })),
        },
        closed,
      ),
      response: {
        200: Type.Object({
          versions: Type.Array(versionSummary),
          nextCursor: Type.Optional(Type.String()),
        }),
      },
    },
    handler: async (request) => {
      const tenant = tenantOf(request)
      const tx = asTenant(pool, tenant)
      const { name } = request.params
      const { limit = 50, cursor } = request.query
      if ((await getPipeline(tx, tenant, name)) === undefined) throw notFound()
      const rows = await listVersions(tx, tenant, name, limit + 1, cursor)
      const page = rows.slice(0, limit)
      const last = rows.length > limit ? page.at(-1) : undefined
      return {
        versions: page.map(toSummary),
        ...(last === undefined ? {} : { nextCursor: String(last.version) }),
      }
    },
  })

  app.route({
    method: 'GET',
    url: '/v1/pipelines/:name/versions/:version',
    config: { permission: 'pipelines:read' },
    schema: {
      summary: 'A version of a pipeline, as published and with its defaults',
      params: versionParams,
      response: { 200: versionSchema },
    },
    handler: async (request) => {
      const tenant = tenantOf(request)
      const { name, version } = request.params
      const number = /^[1-9][0-9]{0,8}$/.test(version) ? Number(version) : undefined
      const row =
        number === undefined
          ? undefined
          : await getVersion(asTenant(pool, tenant), tenant, name, number)
      if (row === undefined) throw notFound()
      return toVersion(row)
    },
  })

  app.route({
    method: 'PUT',
    url: '/v1/pipelines/:name/current',
    config: { permission: 'pipelines:write', consumes: [JSON_TYPE] },
    schema: {
      summary: 'Make a published version the current one',
      params: nameParams,
      body: Type.Object({ version: Type.Integer({ minimum: 1, maximum: 2_147_483_647 }) }, closed),
      response: { 200: pipelineSchema },
    },
    handler: async (request) => {
      const { version } = request.body
      return changePipeline(request, 'pipeline.current', { version }, (tx, tenant, name) =>
        setCurrentVersion(tx, tenant, name, version),
      )
    },
  })

  for (const [verb, paused] of [
    ['pause', true],
    ['resume', false],
  ] as const) {
    app.route({
      method: 'POST',
      url: `/v1/pipelines/:name/${verb}`,
      config: { permission: 'pipelines:write', consumes: [JSON_TYPE] },
      schema: {
        summary: paused ? 'Take jobs and dispatch none' : 'Dispatch jobs again',
        params: nameParams,
        response: { 200: pipelineSchema },
      },
      handler: async (request) =>
        changePipeline(request, `pipeline.${verb}`, null, (tx, tenant, name) =>
          setPaused(tx, tenant, name, paused),
        ),
    })
  }

  app.route({
    method: 'DELETE',
    url: '/v1/pipelines/:name',
    config: { permission: 'pipelines:write' },
    schema: {
      summary: 'Take no new jobs; what is queued or running ends',
      params: nameParams,
      response: { 204: Type.Null() },
    },
    handler: async (request, reply) => {
      const tenant = tenantOf(request)
      const { name } = request.params
      const isDeleted = await withTenant(pool, tenant, async (tx) => {
        const deleted = await deletePipeline(tx, tenant, name)
        if (deleted) await audit(tx, request, 'pipeline.delete', name, null)
        return deleted
      })
      if (!isDeleted) throw notFound()
      return reply.status(204).send()
    },
  })

  async function changePipeline<Action extends PipelineAction>(
    request: Request,
    action: Action,
    detail: AuditDetail<Action>,
    act: (tx: Tx, tenant: string, name: string) => Promise<boolean>,
  ) {
    const tenant = tenantOf(request)
    const { name } = request.params as { name: string }
    const pipeline = await withTenant(pool, tenant, async (tx) => {
      if (!(await act(tx, tenant, name))) throw notFound()
      await audit(tx, request, action, name, detail)
      return getPipeline(tx, tenant, name)
    })
    if (pipeline === undefined) throw notFound()
    const { currentVersion, paused, createdAt } = pipeline
    return { name, version: currentVersion, paused, createdAt: toTime(createdAt) }
  }
}
