import type { Lane, StageState } from '@weir/contracts'
import type { Tx } from '../statement.ts'

export type Stage = {
  readonly ref: string
  readonly kind: string
  readonly partitions: number
  readonly lanes: readonly Lane[]
  readonly inFlightMax: number
  readonly autoActivate: boolean
  readonly state: StageState
  /** Rises with every change; compare-and-set goes by it. */
  readonly rowVersion: number
  readonly keyIds: readonly string[]
  /** What was registered beyond the columns: JSON text. */
  readonly spec: string
  readonly createdAt: Date
  readonly updatedAt: Date
}

export type StageSettings = Pick<
  Stage,
  'kind' | 'partitions' | 'lanes' | 'inFlightMax' | 'autoActivate' | 'state' | 'keyIds' | 'spec'
>

const columns = `ref, kind, partitions, lanes, in_flight_max as "inFlightMax",
  auto_activate as "autoActivate", state, row_version as "rowVersion", key_ids as "keyIds", spec,
  created_at as "createdAt", updated_at as "updatedAt"`

const settingColumns = {
  kind: 'kind',
  partitions: 'partitions',
  lanes: 'lanes',
  inFlightMax: 'in_flight_max',
  autoActivate: 'auto_activate',
  state: 'state',
  keyIds: 'key_ids',
  spec: 'spec',
} as const satisfies Record<keyof StageSettings, string>

/** Registers a stage; undefined where it is registered already. */
export async function insertStage(
  tx: Tx,
  ref: string,
  settings: StageSettings,
): Promise<Stage | undefined> {
  const rows = await tx.query<Stage>({
    text: `insert into stages (ref, kind, partitions, lanes, in_flight_max, auto_activate, state,
        key_ids, spec)
      values ($1, $2, $3, $4::text[], $5, $6, $7, $8::text[], $9)
      on conflict (ref) do nothing returning ${columns}`,
    values: [
      ref,
      settings.kind,
      settings.partitions,
      settings.lanes,
      settings.inFlightMax,
      settings.autoActivate,
      settings.state,
      settings.keyIds,
      settings.spec,
    ],
  })
  return rows[0]
}

/** Changes a stage that is still at `rowVersion`; undefined where somebody was faster. */
export async function updateStage(
  tx: Tx,
  ref: string,
  rowVersion: number,
  change: Partial<StageSettings>,
): Promise<Stage | undefined> {
  const names: string[] = []
  const values: unknown[] = [ref, rowVersion]
  for (const [name, column] of Object.entries(settingColumns)) {
    const value = change[name as keyof StageSettings]
    if (value === undefined) continue
    values.push(value)
    names.push(`${column} = $${values.length}`)
  }
  const rows = await tx.query<Stage>({
    text: `update stages
      set ${[...names, 'row_version = row_version + 1', 'updated_at = now()'].join(', ')}
      where ref = $1 and row_version = $2 returning ${columns}`,
    values,
  })
  return rows[0]
}

export async function getStage(tx: Tx, ref: string): Promise<Stage | undefined> {
  const rows = await tx.query<Stage>({
    name: 'get-stage',
    text: `select ${columns} from stages where ref = $1`,
    values: [ref],
  })
  return rows[0]
}

/** By reference; an installation has few. */
export async function listStages(tx: Tx, limit: number): Promise<Stage[]> {
  return tx.query<Stage>({
    name: 'list-stages',
    text: `select ${columns} from stages order by ref limit $1`,
    values: [limit],
  })
}
