import type { ErrorCode } from '@weir/contracts'
import { errorTable } from '@weir/contracts'
import { type Permission, permissions } from '../auth/permissions.ts'
import type { App } from './type-provider.ts'

declare module 'fastify' {
  interface FastifySchema {
    /** Shown in the OpenAPI document. */
    'x-permission'?: Permission
  }
  interface FastifyContextConfig {
    /** Who may call this route. */
    readonly permission?: Permission
    /** Codes that this route can answer beside those that follow from its permission and body. */
    readonly errors?: readonly ErrorCode[]
    /** Media types of a body; none where the route reads no body. */
    readonly consumes?: readonly string[]
    /** All codes that the route can answer; filled in at the start. */
    readonly declared?: readonly ErrorCode[]
  }
}

const ALWAYS: readonly ErrorCode[] = ['invalid_request', 'internal', 'unavailable']
const WITH_CREDENTIAL: readonly ErrorCode[] = ['unauthenticated', 'forbidden', 'not_found']
const WITH_BODY: readonly ErrorCode[] = ['payload_too_large', 'unsupported_media_type']

/**
 * Deny by default: a route without a permission stops the start. Fills in the codes each route can
 * answer, so that the OpenAPI document lists them all.
 */
export function addRouteChecks(app: App): void {
  app.addHook('onRoute', (route) => {
    const { permission, errors = [], consumes = [] } = route.config ?? {}
    if (permission === undefined || !Object.hasOwn(permissions, permission)) {
      throw new Error(`${String(route.method)} ${route.url} declares no permission`)
    }
    const codes = [
      ...errors,
      ...ALWAYS,
      ...(permission === 'public' ? [] : WITH_CREDENTIAL),
      ...(route.url.includes(':') ? (['uri_too_long'] as const) : []),
      ...(route.method === 'GET' && consumes.length === 0 ? [] : WITH_BODY),
    ]
    const declared = (Object.keys(errorTable) as ErrorCode[]).filter((code) => codes.includes(code))
    route.config = { ...route.config, declared }
    const responses = route.schema?.response as Record<string, unknown> | undefined
    route.schema = {
      ...route.schema,
      'x-permission': permission,
      ...(permission === 'public' ? { security: [] } : {}),
      response: { ...problemResponses(declared), ...responses },
    }
  })
}

function problemResponses(codes: readonly ErrorCode[]): Record<string, unknown> {
  const byStatus = new Map<number, ErrorCode[]>()
  for (const code of codes) {
    const { status } = errorTable[code]
    byStatus.set(status, [...(byStatus.get(status) ?? []), code])
  }
  return Object.fromEntries(
    [...byStatus].map(([status, some]) => [
      status,
      {
        description: some.join(', '),
        content: {
          'application/problem+json': {
            schema: {
              allOf: [{ $ref: 'Problem#' }, { properties: { code: { enum: some } } }],
            },
          },
        },
      },
    ]),
  )
}
