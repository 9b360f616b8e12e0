import swagger from '@fastify/swagger'
import { errorTable } from '@weir/contracts'
import { Type } from 'typebox'
import { namedEventSchemas } from '../jobs/job-schema.ts'
import type { App } from './type-provider.ts'

/** RFC 9457, with what every problem of ours has besides. */
export const problemSchema = Type.Object(
  {
    type: Type.String({ description: '/problems/<code>' }),
    title: Type.String(),
    status: Type.Integer(),
    detail: Type.String(),
    instance: Type.String({ description: 'urn:request:<id>, as in x-request-id' }),
    code: Type.Unsafe<string>({ type: 'string', enum: Object.keys(errorTable) }),
    errors: Type.Optional(
      Type.Array(
        Type.Object({
          path: Type.String({ description: 'JSON pointer' }),
          code: Type.String(),
          message: Type.String(),
          fix: Type.Optional(Type.String()),
        }),
      ),
    ),
    cause: Type.Optional(Type.Unsafe<string>({ type: 'string', enum: ['tenant', 'platform'] })),
  },
  { $id: 'Problem' },
)

/** Collects the routes' schemas; the document is served at `/openapi.json`. */
export async function addOpenapi(app: App): Promise<void> {
  app.addSchema(problemSchema)
  for (const schema of namedEventSchemas) app.addSchema(schema)
  await app.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      info: {
        title: 'Weir',
        version: '1',
        description: 'Stage-flow service. Errors are RFC 9457 problems; their codes are stable.',
      },
      components: {
        securitySchemes: {
          key: { type: 'http', scheme: 'bearer', description: 'weir_<keyId>_<secret>' },
        },
      },
      security: [{ key: [] }],
    },
    refResolver: {
      buildLocalReference: ({ $id }, _base, _fragment, index) => String($id ?? index),
    },
  })
}
