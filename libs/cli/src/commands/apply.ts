import type { Client } from '@weir/client'
import { ClientError } from '@weir/client'
import type { Run } from '../context.ts'
import { exitCodes } from '../exit-codes.ts'
import { type Failure, toFailure, usage } from '../failure.ts'
import { formatTable } from '../output/table.ts'
import { parseInteger } from '../pairs.ts'
import { type Document, readDocuments, toSource } from '../read-documents.ts'

type ApplyFlags = {
  readonly file?: readonly string[]
  readonly name?: string
  readonly ifVersion?: string
  readonly dryRun?: boolean
}

type Outcome = {
  readonly name: string
  readonly outcome: 'created' | 'unchanged' | 'valid' | 'failed'
  readonly version?: number
  readonly warnings: readonly unknown[]
}

export const apply: Run<ApplyFlags> = async (context, flags) => {
  const { io, out, say } = context
  const ifVersion = parseInteger('--if-version', flags.ifVersion, 1)
  const documents = await readDocuments(io, flags.file, flags.name)
  if (ifVersion !== undefined && documents.length > 1) throw usage('--if-version is for one file')
  const client = await context.connect()
  const outcomes: Outcome[] = []
  const failures: Failure[] = []
  for (const document of documents) {
    try {
      const outcome = await applyOne(client, document, ifVersion, flags.dryRun === true)
      outcomes.push(outcome)
      for (const warning of outcome.warnings as { path: string; message: string }[]) {
        say(`${document.from}: warning: ${warning.path}: ${warning.message}`)
      }
    } catch (error) {
      const failure = toFailure(error)
      // Nothing else will reach it, or be allowed to, either.
      if (documents.length === 1 || isHopeless(failure)) throw error
      failures.push(failure)
      outcomes.push({ name: document.name, outcome: 'failed', warnings: [] })
      say(`${document.from}: ${failure.message}`)
    }
  }
  const rows = outcomes.map(({ name, outcome, version }) => [name, outcome, version])
  await out.show({
    data: { pipelines: outcomes },
    table: (paint) => formatTable(['PIPELINE', 'OUTCOME', 'VERSION'], rows, paint),
    names: () => outcomes.map(({ name }) => name),
  })
  if (failures.length === 0) return exitCodes.ok
  return failures.length === documents.length
    ? (failures[0] as Failure).exitCode
    : exitCodes.partial
}

const isHopeless = ({ exitCode }: Failure): boolean =>
  exitCode === exitCodes.auth || exitCode === exitCodes.unreachable

async function applyOne(
  { pipelines }: Client,
  document: Document,
  ifVersion: number | undefined,
  isDryRun: boolean,
): Promise<Outcome> {
  const { name } = document
  if (isDryRun) {
    const { valid, errors, warnings } = await pipelines.validate(name, toSource(document))
    if (valid) return { name, outcome: 'valid', warnings }
    const detail = `The pipeline has ${errors.length} faults.`
    throw new ClientError({ code: 'invalid_pipeline', status: 422, detail, errors })
  }
  const options = ifVersion === undefined ? {} : { ifVersion }
  const { isNew, version, warnings } = await pipelines.publish(name, toSource(document), options)
  return { name, outcome: isNew ? 'created' : 'unchanged', version, warnings }
}
