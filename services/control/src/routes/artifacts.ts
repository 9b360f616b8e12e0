import { type JobEvent, WeirError } from '@weir/contracts'
import { asTenant, readArtifact } from '@weir/postgres'
import { Type } from 'typebox'
import { mayReadPayloads } from '../auth/caller.ts'
import type { Control } from '../control.ts'
import { callerOf } from '../http/caller-of.ts'
import { jobOf } from '../http/job-of.ts'
import { notFound } from '../http/not-found.ts'
import { idParams, time } from '../http/schemas.ts'
import type { App } from '../http/type-provider.ts'
import { loadJob } from '../jobs/load-job.ts'

const artifactSchema = Type.Object({
  seq: Type.Integer(),
  run: Type.Integer(),
  at: time,
  step: Type.String(),
  item: Type.Optional(Type.String()),
  attempt: Type.Integer(),
  name: Type.String(),
  mediaType: Type.String(),
  bytes: Type.Integer(),
  digest: Type.String(),
  kept: Type.Boolean(),
  content: Type.String(),
})

/** What handlers have made beside their outputs. */
export function addArtifactRoutes(app: App, { pool }: Control): void {
  app.route({
    method: 'GET',
    url: '/v1/jobs/:id/artifacts',
    config: { permission: 'jobs:read' },
    schema: {
      summary: 'What the handlers of a job have made beside their outputs, in the order of its log',
      params: idParams,
      response: { 200: Type.Object({ artifacts: Type.Array(artifactSchema) }) },
    },
    handler: async (request) => {
      const { tenant, id } = jobOf(request, request.params.id)
      const loaded = await loadJob(pool, tenant, id)
      if (loaded === undefined) throw notFound()
      return { artifacts: loaded.events.flatMap((event) => describe(id, event)) }
    },
  })

  app.route({
    method: 'GET',
    url: '/v1/jobs/:id/artifacts/:seq',
    config: { permission: 'jobs:read' },
    schema: {
      summary: 'The content of an artifact, by the number of its event; for who may read payloads',
      params: Type.Object({ id: Type.String(), seq: Type.String() }),
      response: {
        200: {
          description: 'As it was made',
          content: {
            'application/octet-stream': {
              schema: Type.Unsafe({ type: 'string', format: 'binary' }),
            },
          },
        },
      },
    },
    handler: async (request, reply) => {
      const { tenant, id } = jobOf(request, request.params.id)
      const seq = /^\d{1,9}$/.test(request.params.seq) ? Number(request.params.seq) : 0
      if (seq === 0) throw notFound()
      const loaded = await loadJob(pool, tenant, id, { after: seq - 1, chunksMax: 1 })
      const event = loaded?.events.find((one) => one.seq === seq)
      const artifact = event?.data.artifact
      if (event === undefined || artifact === undefined) throw notFound()
      if (!mayReadPayloads(callerOf(request))) {
        throw new WeirError('forbidden', 'The key has no right to read payloads.')
      }
      const { run, step = '', item = '' } = event
      const of = { run, step, item, digest: artifact.digest }
      const content = await readArtifact(asTenant(pool, tenant), tenant, id, of)
      if (content === undefined) throw notFound()
      // A stage's author wrote it, and the console has its cookie at the same address: it is kept as
      // a file, and no browser runs it.
      return reply
        .header('content-disposition', `attachment; filename*=UTF-8''${fileName(artifact.name)}`)
        .header('x-content-type-options', 'nosniff')
        .header('content-security-policy', "sandbox; default-src 'none'")
        .header('etag', `"${artifact.digest}"`)
        .type(artifact.mediaType)
        .send(content)
    },
  })
}

function describe(id: string, { seq, run, at, step, item, attempt, data }: JobEvent) {
  if (data.artifact === undefined) return []
  const { name, mediaType, bytes, digest, kept = true } = data.artifact
  const where = { step: step ?? '', ...(item === undefined ? {} : { item }), attempt: attempt ?? 1 }
  const content = `/v1/jobs/${id}/artifacts/${seq}`
  return [{ seq, run, at, ...where, name, mediaType, bytes, digest, kept, content }]
}

/** As RFC 8187 writes it in a header. */
const fileName = (name: string): string =>
  encodeURIComponent(name).replace(/['()*]/g, (sign) => `%${sign.charCodeAt(0).toString(16)}`)
