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
 * Throws `backpressure` where a pipeline refuses rather than queues, and its path has no room for these
 * jobs; a repeat of a job that is in costs no room. Versions have policies and paths of their own.
 */
export async function refuseWithoutRoom(
  parts: Parts,
  tenant: string,
  submits: readonly { readonly target: Target; readonly job: Submit }[],
): Promise<void> {
  const eager = submits.filter(({ target }) => target.overload.policy === 'reject')
  for (const [target, own] of Map.groupBy(eager, (one) => one.target)) {
    const jobs = own.map(({ job }) => job)
    const known = await knownKeys(parts, tenant, jobs)
    const fresh = jobs.filter(({ idempotencyKey: key }) => key === null || !known.has(key)).length
    const stage = fresh === 0 ? undefined : parts.pathRoom.take(target.plan, fresh)
    if (stage === undefined) continue
    const pressure = findPressure(target.plan, parts.gates)
    throw toNoRoom(stage, sinceAdmitted(parts, tenant), pressure)
  }
}

async function knownKeys(
  { pool }: Parts,
  tenant: string,
  jobs: readonly Submit[],
): Promise<ReadonlySet<string>> {
  const keys = jobs.flatMap(({ idempotencyKey }) => idempotencyKey ?? [])
  const [first] = jobs
  if (keys.length === 0 || first === undefined) return new Set()
  return findSubmitKeys(asTenant(pool, tenant), tenant, first.pipeline, keys)
}
