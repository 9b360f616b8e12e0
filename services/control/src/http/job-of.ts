import { isUuid } from '@weir/contracts'
import { tenantOf } from './caller-of.ts'
import { notFound } from './not-found.ts'
import type { Request } from './type-provider.ts'

/** The job that a path names, for its lines and its tenant; what is no id of ours is not there. */
export function jobOf(request: Request, id: string): { tenant: string; id: string } {
  if (!isUuid(id)) throw notFound()
  request.scope.jobId = id
  return { tenant: tenantOf(request), id }
}
