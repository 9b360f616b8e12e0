import type { Caller } from '../auth/caller.ts'
import type { Request } from './type-provider.ts'

/** The caller of a route that needs a credential. */
export function callerOf(request: Request): Caller {
  const { caller } = request.scope
  if (caller === undefined) throw new Error('the route has no permission that asks for a caller')
  return caller
}

/** The tenant that a route within a tenant is about. */
export function tenantOf(request: Request): string {
  const { tenant } = callerOf(request)
  if (tenant === undefined) throw new Error('the route has no permission within a tenant')
  return tenant.id
}
