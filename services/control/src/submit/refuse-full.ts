import { asTenant, findSubmitKeys, getTenant, getUsage } from '@weir/postgres'
import type { Control } from '../control.ts'
import { findPressure } from '../flow/path-pressure.ts'
import type { Submit } from './admit.ts'
import { toNoRoom, toRefusal } from './refusal.ts'
import type { Target } from './targets.ts'

type Parts = Pick<Control, 'pool' | 'gates' | 'pathRoom' | 'admittedAt' | 'metrics'>
type Refused = Parameters<typeof toRefusal>[0]

const sinceAdmitted = ({ admittedAt }: Parts, tenant: string): number =>
  performance.now() - (admittedAt(tenant) ?? Number.NEGATIVE_INFINITY)

/** What a tenant is told whose quota has no room: by whom its jobs are held up counts too. */
export async function refusalOf(parts: Parts, tenant: string, target: Target, refused: Refused) {
  const pressure = findPressure(target.plan, parts.gates)
  const isHeldUp = pressure !== undefined && (await isQueueFull(parts, tenant))
  return toRefusal(refused, sinceAdmitted(parts, tenant), isHeldUp ? pressure : undefined)
}

/**
 * Whether a queue is full because its jobs do not get on: not where it is a batch that is too large for
 * it, nor where the tenant has as many jobs in flight as it may.
 */
async function isQueueFull({ pool }: Parts, tenant: string): Promise<boolean> {
  const tx = asTenant(pool, tenant)
  const [owner, usage] = await Promise.all([getTenant(tx, tenant), getUsage(tx, tenant)])
  if (owner === undefined || usage === undefined) return false
  const { maxQueuedJobs, maxInFlightJobs } = owner.quotas
  return usage.queuedJobs * 2 > maxQueuedJobs && usage.inFlightJobs < maxInFlightJobs
}

/**
 * Throws `backpressure` where a pipeline refuses rather than queues, and its path has no room for these
 * jobs, and counts them as refused; a repeat of a job that is in costs no room. Versions have policies and paths of their own.
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
    parts.metrics.submits.inc({ outcome: 'refused' }, submits.length)
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
