import { type DenialCause, isUuid } from '@weir/contracts'
import { INSTALLATION } from '@weir/postgres'
import type { Request } from '../http/type-provider.ts'
import type { Note } from './audit-log.ts'
import { pathOf, routeOf } from './entry.ts'

/** The actor where nothing is proven. */
export const NOBODY = 'nobody'

/** Why a request was denied before it was looked at; set by the authentication. */
export type Denial = {
  readonly cause: DenialCause
  /** Whose credential it was; undefined where that is not known, or an operator's. */
  readonly tenant?: string
  /** Who it was as far as it is proven. */
  readonly actor: string
  /** The key that was shown, where no one has proven that it is his. */
  readonly key?: string
}

type Problem = { readonly status: number; readonly body: Readonly<Record<string, unknown>> }

/**
 * What the audit log is told of a problem that is answered: a denial, a refusal for now, or nothing.
 * Rows do not tell another tenant's thing from one that never was; but ids are not found by chance,
 * so who asks for one that is not his has it from somewhere: that is told too.
 */
export function noteOf(request: Request, problem: Problem): Note | undefined {
  const { caller, denial } = request.scope
  if (denial !== undefined) return toDenied(request, denial)
  if (caller?.tenant === undefined) return undefined
  const tenant = caller.tenant.id
  if (problem.status === 429) return toRefused(request, tenant, caller.actor, problem.body)
  const { id } = request.params as { readonly id?: string }
  const isMissed = problem.status === 404 && isUuid(id)
  return isMissed
    ? toDenied(request, { cause: 'not_found', tenant, actor: caller.actor })
    : undefined
}

function toDenied(request: Request, { cause, tenant, actor, key }: Denial): Note {
  const route = routeOf(request)
  // Who has proven nothing does not take the room of those who have: he is told apart no further.
  const isKnown = actor !== NOBODY
  return {
    action: 'access.denied',
    tenant: tenant ?? INSTALLATION,
    actor,
    object: key === undefined ? pathOf(request) : `key:${key}`,
    requestId: request.scope.requestId,
    alike: isKnown ? `${actor} ${route} ${cause}` : `${cause} ${key ?? ''}`,
    detail: { request: route, address: request.ip, cause },
  }
}

function toRefused(request: Request, tenant: string, actor: string, body: Problem['body']): Note {
  const { name } = request.params as { readonly name?: string }
  const { code, cause, quota, stage } = body
  const object = name === undefined ? pathOf(request) : `pipeline:${name}`
  const word = (value: unknown) => (typeof value === 'string' ? value : undefined)
  const of = { quota: word(quota), stage: word(stage) }
  return {
    action: code === 'backpressure' ? 'backpressure.refused' : 'admission.refused',
    tenant,
    actor,
    object,
    requestId: request.scope.requestId,
    alike: [object, code, cause, of.quota, of.stage].join(' '),
    detail: {
      code: String(code),
      cause: cause === 'platform' ? 'platform' : 'tenant',
      ...(of.quota === undefined ? {} : { quota: of.quota }),
      ...(of.stage === undefined ? {} : { stage: of.stage }),
    },
  }
}
