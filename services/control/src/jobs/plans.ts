import type { Plan } from '@weir/contracts'
import { asTenant, getVersion, type JobSummary, type Pool } from '@weir/postgres'

const KEPT_MAX = 500

/** The plan of a job's version. */
export type Plans = (tenant: string, job: JobSummary) => Promise<Plan>

/** Plans as published; a version never changes, so what is kept stays true. */
export function createPlans(pool: Pool): Plans {
  const kept = new Map<string, Plan>()
  return async (tenant, { pipeline, version, planId }) => {
    const key = `${tenant}/${planId}`
    const known = kept.get(key)
    if (known !== undefined) return known
    const row = await getVersion(asTenant(pool, tenant), tenant, pipeline, version)
    if (row === undefined) throw new Error(`version ${version} of a job's pipeline is not there`)
    const plan = JSON.parse(row.plan) as Plan
    kept.set(key, plan)
    if (kept.size > KEPT_MAX) kept.delete(kept.keys().next().value as string)
    return plan
  }
}
