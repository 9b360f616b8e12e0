import type { FieldError, PipelineDocument, StageKind } from '@weir/contracts'
import { type CheckedPipeline, checkPipeline, type KnownStage, parsePipeline } from '@weir/core'
import { asRole, listContracts, listStages } from '@weir/postgres'
import type { Control } from '../control.ts'
import { checkSchemaBudget } from '../inputs/schema-budget.ts'
import { compareVersions } from '../stages/compatibility.ts'
import { STAGES_MAX } from '../stages/stage-control.ts'

export type CheckedDocument = {
  readonly errors: readonly FieldError[]
  readonly warnings: readonly FieldError[]
} & (
  | { readonly document: PipelineDocument; readonly effective: CheckedPipeline['effective'] }
  | { readonly document?: undefined; readonly effective?: undefined }
)

/** Everything that can be wrong with a document: its shape, its graph, its stages, its input's schema. */
export async function checkDocument(
  control: Pick<Control, 'pool' | 'inputs'>,
  value: unknown,
): Promise<CheckedDocument> {
  const parsed = parsePipeline(value)
  if ('errors' in parsed) return { errors: parsed.errors, warnings: [] }
  const { document } = parsed
  const checked = checkPipeline(document, { stages: await knownStages(control) })
  const { effective, warnings } = checked
  const errors = [...checked.errors, ...(await checkInput(control, document.input))]
  return { document, effective, errors, warnings }
}

async function checkInput(
  { inputs }: Pick<Control, 'inputs'>,
  schema: unknown,
): Promise<FieldError[]> {
  if (schema === undefined) return []
  const faults = checkSchemaBudget(schema)
  if (faults.length > 0) return faults.map((fault) => ({ ...fault, path: `/input${fault.path}` }))
  const reason = await inputs.compile(JSON.stringify(schema))
  if (reason === undefined) return []
  return [{ path: '/input', code: 'schema_invalid', message: reason }]
}

async function knownStages({ pool }: Pick<Control, 'pool'>): Promise<Map<string, KnownStage>> {
  const tx = asRole(pool)
  const [stages, contracts] = await Promise.all([listStages(tx, STAGES_MAX), listContracts(tx)])
  const accepted = Map.groupBy(
    contracts.filter((contract) => contract.accepted),
    ({ stage }) => stage,
  )
  return new Map(
    stages
      .filter(({ state }) => state !== 'terminating' && state !== 'terminated')
      .map(({ ref, kind, lanes }): [string, KnownStage] => {
        const latest = (accepted.get(ref) ?? [])
          .toSorted((a, b) => compareVersions(a.version, b.version))
          .at(-1)
        return [
          ref,
          {
            ref,
            kind: kind === '' ? null : (kind as StageKind),
            lanes,
            contracts:
              latest === undefined
                ? null
                : { input: JSON.parse(latest.input), output: JSON.parse(latest.output) },
          },
        ]
      }),
  )
}
