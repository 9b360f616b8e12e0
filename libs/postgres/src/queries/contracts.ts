import type { Tx } from '../statement.ts'

/** Input and output schema of a stage's version, and the verdict on them. */
export type StageContract = {
  readonly stage: string
  readonly version: string
  readonly hash: string
  /** JSON Schemas as text. */
  readonly input: string
  readonly output: string
  readonly accepted: boolean
  readonly reason: string | null
  readonly createdAt: Date
}

const columns = `stage_ref as stage, version, hash, input, output, accepted, reason,
  created_at as "createdAt"`

/** Writes the verdict; a version that was accepted keeps its contract for good. */
export async function upsertContract(
  tx: Tx,
  contract: Omit<StageContract, 'createdAt'>,
): Promise<StageContract | undefined> {
  const rows = await tx.query<StageContract>({
    text: `insert into contracts as c (stage_ref, version, hash, input, output, accepted, reason)
      values ($1, $2, $3, $4, $5, $6, $7)
      on conflict (stage_ref, version) do update
        set hash = excluded.hash, input = excluded.input, output = excluded.output,
            accepted = excluded.accepted, reason = excluded.reason
        where not c.accepted or c.hash = excluded.hash
      returning ${columns}`,
    values: [
      contract.stage,
      contract.version,
      contract.hash,
      contract.input,
      contract.output,
      contract.accepted,
      contract.reason,
    ],
  })
  return rows[0]
}

/** All contracts of one stage, or of all; in the order of their arrival. */
export async function listContracts(tx: Tx, stage?: string): Promise<StageContract[]> {
  return tx.query<StageContract>({
    name: 'list-contracts',
    text: `select ${columns} from contracts where $1::text is null or stage_ref = $1
      order by stage_ref, created_at, version`,
    values: [stage ?? null],
  })
}
