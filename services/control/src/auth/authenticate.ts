import { isUuid, WeirError } from '@weir/contracts'
import { entryOf, type NewEntry, pathOf, routeOf } from '../audit/entry.ts'
import { type Denial, NOBODY } from '../audit/note-problem.ts'
import { notFound } from '../http/not-found.ts'
import type { App, Request } from '../http/type-provider.ts'
import { type ApiKey, hashSecret, parseBearer, verifySecret } from './api-key.ts'
import type { Caller } from './caller.ts'
import type { KeyCache, RefusedKey } from './key-cache.ts'
import { isAllowed, type Permission, permissions } from './permissions.ts'

export type AuthPorts = {
  readonly operatorKey: ApiKey
  readonly keys: KeyCache
  /** Name of a tenant that exists, else undefined. */
  readonly findTenant: (id: string) => Promise<string | undefined>
  readonly audit: (tenant: string, entry: NewEntry) => Promise<void>
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
    if (given === undefined) throw deny(request, { cause: 'no_key', actor: NOBODY })
    if (given.keyId === ports.operatorKey.keyId) {
      if (verifySecret(given.secret, operatorHash)) return asOperator(request)
      throw deny(request, { cause: 'wrong_secret', actor: NOBODY, key: 'operator' })
    }
    const verdict = await ports.keys.verify(given)
    if (verdict === undefined) throw deny(request, { cause: 'unknown_key', actor: NOBODY })
    if (verdict.refusal !== null) throw deny(request, toDenial(verdict))
    const { found: key } = verdict
    const actor = `key:${key.id}`
    const named = request.headers['x-weir-tenant']
    if (named !== undefined && named !== key.tenant) {
      throw deny(
        request,
        { cause: 'other_tenant', tenant: key.tenant, actor },
        'The credential belongs to another tenant than x-weir-tenant.',
      )
    }
    if (key.suspended) {
      const denial = { cause: 'suspended', tenant: key.tenant, actor } as const
      throw deny(request, denial, 'The tenant is suspended.')
    }
    const tenant = { id: key.tenant, name: key.tenantName }
    return { role: key.role, tenant, actor, scopes: key.scopes }
  }

  async function asOperator(request: Request): Promise<Caller> {
    const { 'x-weir-tenant': id, 'x-weir-reason': reason } = request.headers
    const caller: Caller = { role: 'operator', tenant: undefined, actor: 'operator', scopes: [] }
    if (id === undefined) return caller
    if (typeof reason !== 'string' || reason.trim() === '' || reason.length > REASON_LENGTH_MAX) {
      throw deny(
        request,
        { cause: 'no_reason', actor: 'operator' },
        'An operator inside a tenant gives a reason in x-weir-reason.',
      )
    }
    const name = isUuid(id) ? await ports.findTenant(id) : undefined
    if (name === undefined) {
      request.scope.denial = { cause: 'unknown_tenant', actor: 'operator' }
      throw notFound()
    }
    return { ...caller, tenant: { id: id as string, name }, reason: reason.trim() }
  }

  app.addHook('onRequest', async (request) => {
    const { permission } = request.routeOptions.config
    // Undefined where no route matched: the answer is the same with and without a credential.
    if (permission === undefined || permission === 'public') return
    const caller = await identify(request)
    request.scope.caller = caller
    const { tenant, role } = caller
    const allowed =
      isAllowed(permission, role, tenant !== undefined) && hasPlace(permission, caller)
    if (!allowed) throw deny(request, toUnfit(caller), describeUnfit(permission, caller))
    if (tenant === undefined || role !== 'operator') return
    const detail = { request: routeOf(request), address: request.ip }
    await ports.audit(tenant.id, entryOf(request, 'access.operator', pathOf(request), detail))
  })
}

/** The error of a request that is not let in; what the audit log is to be told of it is kept. */
function deny(request: Request, denial: Denial, forbidden?: string): WeirError {
  request.scope.denial = denial
  if (forbidden !== undefined) return new WeirError('forbidden', forbidden)
  return new WeirError('unauthenticated', 'A valid key is needed: Authorization: Bearer weir_…')
}

/** Whoever knows the secret is who the key says; of others only the key that they named is known. */
function toDenial({ found, refusal }: RefusedKey): Denial {
  const { tenant, id } = found
  if (refusal === 'wrong_secret') return { cause: refusal, tenant, actor: NOBODY, key: id }
  return { cause: refusal, tenant, actor: `key:${id}` }
}

/** A tenant's things need a tenant to be inside of. */
function hasPlace(permission: Permission, caller: Caller): boolean {
  return permissions[permission].within !== 'tenant' || caller.tenant !== undefined
}

const isOutside = ({ role, tenant }: Caller) => role === 'operator' && tenant === undefined

function toUnfit(caller: Caller): Denial {
  const { tenant, actor } = caller
  const cause = isOutside(caller) ? 'no_tenant' : 'role'
  return tenant === undefined ? { cause, actor } : { cause, actor, tenant: tenant.id }
}

function describeUnfit(permission: Permission, caller: Caller): string {
  return isOutside(caller)
    ? 'An operator acts inside a tenant with x-weir-tenant and x-weir-reason.'
    : `The role ${caller.role} does not include ${permission}.`
}
