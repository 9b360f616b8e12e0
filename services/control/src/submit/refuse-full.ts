import { asTenant, findSubmitKeys } from '@weir/postgres'
import type { Control } from '../control.ts'
import { findPressure } from '../flow/path-pressure.ts'
import type { Submit } from './admit.ts'
import { toNoRoom, toRefusal } from './refusal.ts'
import type { Target } from './targets.ts'

type Parts = Pick<Control, 'pool' | 'gates' | 'pathRoom' | 'admittedAt'>
type Refused = Parameters<typeof toRefusal>[0]

const sinceAdmitted = ({ admittedAt }: Parts, tenant: string): number =>
  performance.now() - (admittedAt(tenant) ?? Number.NEGATIVE_INFINITY)

/** What a tenant is told whose quota has no room: by whom its jobs are held up counts too. */
export function refusalOf(parts: Parts, tenant: string, target: Target, refused: Refused) {
  return toRefusal(refused, sinceAdmitted(parts, tenant), findPressure(target.plan, parts.gates))
}

/**
 * Throws `backpressure` where the pipeline refuses rather than queues, and its path has no room for
 * these jobs; a repeat of a job that is in costs no room.
 */
export async function refuseWithoutRoom(
  parts: Parts,
  tenant: string,
  target: Target,
  jobs: readonly Submit[],
): Promise<void> {
  if (target.overload.policy !== 'reject') return
  if (parts.pathRoom.lackFor(target.plan, jobs.length) === undefined) return
  const keys = jobs.flatMap(({ idempotencyKey }) => idempotencyKey ?? [])
  const [{ pipeline }] = jobs as readonly [Submit]
  const known =
    keys.length === 0
      ? new Set<string>()
      : await findSubmitKeys(asTenant(parts.pool, tenant), tenant, pipeline, keys)
  const fresh = jobs.filter(({ idempotencyKey: key }) => key === null || !known.has(key)).length
  const stage = fresh === 0 ? undefined : parts.pathRoom.lackFor(target.plan, fresh)
  if (stage === undefined) return
  const pressure = findPressure(target.plan, parts.gates)
  throw toNoRoom(stage, sinceAdmitted(parts, tenant), pressure)
}
