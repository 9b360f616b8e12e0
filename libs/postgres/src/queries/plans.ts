import type { Tx } from '../statement.ts'

export type StoredPlan = {
  readonly tenant: string
  readonly planId: string
  readonly pipeline: string
  readonly version: number
  /** JSON text of the compiled plan. */
  readonly plan: string
}

/** Plans by id, for the roles that work across tenants; what does not exist is left out. */
export async function loadPlans(tx: Tx, planIds: readonly string[]): Promise<StoredPlan[]> {
  return tx.query<StoredPlan>({
    name: 'load-plans',
    text: `select tenant_id as tenant, plan_id as "planId", name as pipeline, version, plan
      from pipeline_versions where plan_id = any ($1::text[])`,
    values: [planIds],
  })
}
