import { isUuid, newUuid, WeirError } from '@weir/contracts'
import type { AuditEntry } from '@weir/postgres'
import { notFound } from '../http/not-found.ts'
import type { App, Request } from '../http/type-provider.ts'
import { type ApiKey, hashSecret, parseBearer, verifySecret } from './api-key.ts'
import type { Caller } from './caller.ts'
import type { KeyCache } from './key-cache.ts'
import { isAllowed, type Permission, permissions } from './permissions.ts'

export type AuthPorts = {
  readonly operatorKey: ApiKey
  readonly keys: KeyCache
  /** Name of a tenant that exists, else undefined. */
  readonly findTenant: (id: string) => Promise<string | undefined>
  readonly audit: (tenant: string, entry: Omit<AuditEntry, 'at'>) => Promise<void>
}

const REASON_LENGTH_MAX = 500

/**
 * Before anything of a body is read: who calls, and may they? The tenant comes from the credential
 * alone; the headers `x-weir-tenant` and `x-weir-reason` mean something for operators only, and
 * what an operator does inside a tenant is written to its audit log before it is done.
 */
export function addAuthentication(app: App, ports: AuthPorts): void {
  const operatorHash = hashSecret(ports.operatorKey.secret)

  async function identify(request: Request): Promise<Caller> {
    const given = parseBearer(request.headers.authorization)
    if (given === undefined) throw unauthenticated()
    if (given.keyId === ports.operatorKey.keyId) {
      if (!verifySecret(given.secret, operatorHash)) throw unauthenticated()
      return asOperator(request)
    }
    const key = await ports.keys.verify(given)
    if (key === undefined) throw unauthenticated()
    const named = request.headers['x-weir-tenant']
    if (named !== undefined && named !== key.tenant) {
      throw new WeirError(
        'forbidden',
        'The credential belongs to another tenant than x-weir-tenant.',
      )
    }
    if (key.suspended) throw new WeirError('forbidden', 'The tenant is suspended.')
    const tenant = { id: key.tenant, name: key.tenantName }
    return { role: key.role, tenant, actor: `key:${key.id}`, scopes: key.scopes }
  }

  async function asOperator(request: Request): Promise<Caller> {
    const { 'x-weir-tenant': id, 'x-weir-reason': reason } = request.headers
    const caller: Caller = { role: 'operator', tenant: undefined, actor: 'operator', scopes: [] }
    if (id === undefined) return caller
    if (typeof reason !== 'string' || reason.trim() === '' || reason.length > REASON_LENGTH_MAX) {
      throw new WeirError(
        'forbidden',
        'An operator inside a tenant gives a reason in x-weir-reason.',
      )
    }
    const name = isUuid(id) ? await ports.findTenant(id) : undefined
    if (name === undefined) throw notFound()
    return { ...caller, tenant: { id: id as string, name }, reason: reason.trim() }
  }

  app.addHook('onRequest', async (request) => {
    const { permission } = request.routeOptions.config
    // Undefined where no route matched: the answer is the same with and without a credential.
    if (permission === undefined || permission === 'public') return
    const caller = await identify(request)
    request.scope.caller = caller
    const isInside = caller.tenant !== undefined
    const allowed = isAllowed(permission, caller.role, isInside) && hasPlace(permission, caller)
    if (caller.tenant !== undefined && (!allowed || caller.role === 'operator')) {
      await ports.audit(caller.tenant.id, {
        id: newUuid(),
        actor: caller.actor,
        action: `${request.method} ${request.routeOptions.url ?? ''}`,
        object: (request.url.split('?', 1)[0] ?? '').slice(0, 500),
        decision: allowed ? 'allowed' : 'denied',
        requestId: request.scope.requestId,
        reason: caller.reason ?? null,
        detail: null,
      })
    }
    if (!allowed) throw new WeirError('forbidden', describeDenial(permission, caller))
  })
}

/** A tenant's things need a tenant to be inside of. */
function hasPlace(permission: Permission, caller: Caller): boolean {
  return permissions[permission].within !== 'tenant' || caller.tenant !== undefined
}

function describeDenial(permission: Permission, caller: Caller): string {
  if (caller.role === 'operator' && caller.tenant === undefined) {
    return 'An operator acts inside a tenant with x-weir-tenant and x-weir-reason.'
  }
  return `The role ${caller.role} does not include ${permission}.`
}

const unauthenticated = (): WeirError =>
  new WeirError('unauthenticated', 'A valid key is needed: Authorization: Bearer weir_…')
