import { type AuditAction, type AuditDetail, newUuid } from '@weir/contracts'
import type { AuditEntry } from '@weir/postgres'
import { callerOf } from '../http/caller-of.ts'
import type { Request } from '../http/type-provider.ts'

/** `at` is the database's, where the entry does not say it. */
export type NewEntry = Omit<AuditEntry, 'at'> & Partial<Pick<AuditEntry, 'at'>>

/** An entry of the catalogue's actions, with the detail that its schema asks for. */
export function newEntry<Action extends AuditAction>(
  action: Action,
  detail: AuditDetail<Action>,
  rest: Pick<NewEntry, 'actor' | 'object' | 'requestId'> &
    Partial<Pick<NewEntry, 'decision' | 'reason'>>,
): NewEntry {
  return {
    id: newUuid(),
    action,
    decision: 'allowed',
    reason: null,
    detail: detail === null ? null : JSON.stringify(detail),
    ...rest,
  }
}

/** What the caller of a request has done. */
export function entryOf<Action extends AuditAction>(
  request: Request,
  action: Action,
  object: string,
  detail: AuditDetail<Action>,
): NewEntry {
  const { actor, reason = null } = callerOf(request)
  const { requestId } = request.scope
  return newEntry(action, detail, { actor, object, requestId, reason })
}

const OBJECT_LENGTH_MAX = 500

/** The address that was asked for, without its query. */
export function pathOf(request: Request): string {
  return (request.url.split('?', 1)[0] ?? '').slice(0, OBJECT_LENGTH_MAX)
}

/** `GET /v1/jobs/{id}`, as the OpenAPI document names it. */
export function routeOf(request: Request): string {
  const path = (request.routeOptions.url ?? 'unmatched').replace(/:(\w+)/g, '{$1}')
  return `${request.method} ${path}`
}
