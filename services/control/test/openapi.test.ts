import assert from 'node:assert/strict'
import test, { after, before } from 'node:test'
import { errorTable } from '@weir/contracts'
import { permissions } from '../src/auth/permissions.ts'
import { createInstallation, type Installation, type Instance } from './support.ts'

let installation: Installation
let api: Instance
// biome-ignore lint/suspicious/noExplicitAny: a document of JSON
let document: any

before(async () => {
  installation = await createInstallation()
  api = await installation.start()
  document = (await api.call('GET', '/openapi.json')).body
})
after(() => installation.stop())

/** Every call of the contract that this service has. */
const ROUTES = [
  'DELETE /v1/keys/{id}',
  'DELETE /v1/pipelines/{name}',
  'DELETE /v1/tenants/{id}',
  'GET /healthz',
  'GET /metrics',
  'GET /openapi.json',
  'GET /readyz',
  'GET /v1/audit',
  'GET /v1/flow',
  'GET /v1/flow/stream',
  'GET /v1/jobs',
  'GET /v1/jobs/counts',
  'GET /v1/jobs/{id}',
  'GET /v1/jobs/{id}/artifacts',
  'GET /v1/jobs/{id}/artifacts/{seq}',
  'GET /v1/jobs/{id}/events',
  'GET /v1/keys',
  'GET /v1/pipelines',
  'GET /v1/pipelines/{name}',
  'GET /v1/pipelines/{name}/versions',
  'GET /v1/pipelines/{name}/versions/{version}',
  'GET /v1/stages',
  'GET /v1/stages/{ref}',
  'GET /v1/stages/{ref}/telemetry',
  'GET /v1/tenants',
  'GET /v1/tenants/{id}',
  'GET /v1/usage',
  'GET /v1/whoami',
  'PATCH /v1/tenants/{id}',
  'POST /v1/jobs/cancel',
  'POST /v1/jobs/{id}/cancel',
  'POST /v1/keys',
  'POST /v1/pipelines/{name}/jobs',
  'POST /v1/pipelines/{name}/jobs/batch',
  'POST /v1/pipelines/{name}/pause',
  'POST /v1/pipelines/{name}/resume',
  'POST /v1/pipelines/{name}/validate',
  'POST /v1/stages/{ref}/activate',
  'POST /v1/stages/{ref}/deactivate',
  'POST /v1/stages/{ref}/key',
  'POST /v1/stages/{ref}/reactivate',
  'POST /v1/stages/{ref}/terminate',
  'POST /v1/tenants',
  'PUT /v1/pipelines/{name}',
  'PUT /v1/pipelines/{name}/current',
  'PUT /v1/stages/{ref}',
]

type Response = { readonly content?: Record<string, { schema: { allOf?: unknown[] } }> }
type Operation = {
  readonly summary?: string
  readonly 'x-permission': string
  readonly security?: unknown[]
  readonly parameters?: { readonly in: string; readonly name: string }[]
  readonly responses: Record<string, Response>
}

function* operations(): Generator<[string, Operation]> {
  for (const [path, methods] of Object.entries(document.paths as Record<string, object>)) {
    for (const [method, operation] of Object.entries(methods)) {
      yield [`${method.toUpperCase()} ${path}`, operation as Operation]
    }
  }
}

test('the document is OpenAPI 3.1 and lists every route and no other', () => {
  assert.match(document.openapi, /^3\.1\./)
  assert.deepEqual([...operations()].map(([name]) => name).sort(), ROUTES)
})

test('every operation says what it does, who may call it and what it answers', () => {
  for (const [name, operation] of operations()) {
    assert.ok(operation.summary, name)
    assert.ok(Object.hasOwn(permissions, operation['x-permission']), name)
    assert.equal(operation.security?.length === 0, operation['x-permission'] === 'public', name)
    const statuses = Object.keys(operation.responses)
    assert.ok(
      statuses.some((status) => status.startsWith('2')),
      name,
    )
    for (const [, parameter] of name.matchAll(/\{(\w+)\}/g)) {
      assert.ok(
        operation.parameters?.some((one) => one.in === 'path' && one.name === parameter),
        `${name} ${parameter}`,
      )
    }
  }
})

test('every problem an operation declares has codes of the table with that very status', () => {
  for (const [name, { responses }] of operations()) {
    for (const [status, { content }] of Object.entries(responses)) {
      const schema = content?.['application/problem+json']?.schema
      if (schema === undefined) continue
      const [, restriction] = schema.allOf as { properties: { code: { enum: string[] } } }[]
      for (const code of restriction?.properties.code.enum ?? []) {
        const spec = errorTable[code as keyof typeof errorTable]
        assert.equal(String(spec.status), status, `${name} ${code}`)
      }
    }
    assert.ok(responses['500'], name)
  }
})

test('every reference in the document leads somewhere', () => {
  const text = JSON.stringify(document)
  const references = [...text.matchAll(/"\$ref":"#\/([^"]+)"/g)].map(([, pointer]) => pointer)
  assert.ok(references.length > 0)
  for (const pointer of new Set(references)) {
    const found = pointer?.split('/').reduce((at, part) => at?.[part], document)
    assert.ok(found, pointer)
  }
})

test('the door has the headers of a service that is not a web site, and no tenant in its metrics', async () => {
  const answer = await api.call('GET', '/metrics')
  assert.match(answer.text, /^weir_control_requests_total\{/m)
  assert.doesNotMatch(answer.text, /tenant-/)
  assert.equal(answer.headers.get('x-content-type-options'), 'nosniff')
  assert.equal(answer.headers.get('cache-control'), 'no-store')
  assert.equal(answer.headers.get('server'), null)
  assert.match(answer.headers.get('x-request-id') ?? '', /^[0-9a-f-]{36}$/)
})
