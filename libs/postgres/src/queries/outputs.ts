import type { Tx } from '../statement.ts'

export type StoredOutput = {
  readonly step: string
  readonly item: string
  /** JSON text. */
  readonly body: string
}

/** Outputs that were too large for the log, of the given steps; those of later runs come last. */
export async function readOutputs(
  tx: Tx,
  tenant: string,
  job: string,
  steps: readonly string[],
): Promise<StoredOutput[]> {
  return tx.query<StoredOutput>({
    name: 'read-outputs',
    text: `select step, item, body from payloads
      where tenant_id = $1 and job_id = $2 and step = any ($3::text[]) order by run`,
    values: [tenant, job, steps],
  })
}
