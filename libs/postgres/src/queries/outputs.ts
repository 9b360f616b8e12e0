import type { Tx } from '../statement.ts'

export type StoredOutput = {
  readonly step: string
  readonly item: string
  /** JSON text. */
  readonly body: string
}

/** The content of an artifact; undefined where nothing is kept under its digest. */
export async function readArtifact(
  tx: Tx,
  tenant: string,
  job: string,
  of: {
    readonly run: number
    readonly step: string
    readonly item: string
    readonly digest: string
  },
): Promise<Buffer | undefined> {
  const rows = await tx.query<{ body: Buffer }>({
    name: 'read-artifact',
    text: `select body from artifacts
      where tenant_id = $1 and job_id = $2 and run = $3 and step = $4 and item = $5 and digest = $6`,
    values: [tenant, job, of.run, of.step, of.item, of.digest],
  })
  return rows[0]?.body
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
