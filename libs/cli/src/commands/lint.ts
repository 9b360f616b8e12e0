import type { FieldError } from '@weir/contracts/errors'
import type { Context, Run } from '../context.ts'
import { exitCodes } from '../exit-codes.ts'
import { clean } from '../output/table.ts'
import { type Document, parseDocument, readDocument, toSource } from '../read-documents.ts'

type LintFlags = { readonly name?: string; readonly offline?: boolean; readonly strict?: boolean }

type Verdict = {
  readonly valid: boolean
  readonly errors: readonly FieldError[]
  readonly warnings: readonly FieldError[]
}

export const lint: Run<LintFlags> = async (context, flags) => {
  const { io, out } = context
  const path = context.args[0] as string
  const name = flags.name ?? (path === '-' ? 'stdin' : undefined)
  const document = await readDocument(io, path, name)
  const verdict = flags.offline === true ? await judgeShape(document) : await ask(context, document)
  const isGood = verdict.valid && (flags.strict !== true || verdict.warnings.length === 0)
  await out.show({
    data: verdict,
    table: (paint) =>
      [
        ...verdict.errors.map((fault) => `${paint('red', 'error')}    ${formatFault(fault)}`),
        ...verdict.warnings.map((fault) => `${paint('yellow', 'warning')}  ${formatFault(fault)}`),
        isGood ? `${document.from} is valid${flags.offline === true ? ' in its shape' : ''}` : '',
      ]
        .filter((line) => line !== '')
        .join('\n'),
    names: () => [],
  })
  return isGood ? exitCodes.ok : exitCodes.failure
}

async function ask(context: Context, document: Document): Promise<Verdict> {
  const { pipelines } = await context.connect()
  return pipelines.validate(document.name, toSource(document))
}

async function judgeShape(document: Document): Promise<Verdict> {
  const value = await parseDocument(document)
  const { checkShape } = await import('../check-shape.ts')
  const errors = checkShape(value)
  return { valid: errors.length === 0, errors, warnings: [] }
}

function formatFault({ path, code, message, fix }: FieldError): string {
  return clean(
    `${path === '' ? '/' : path}: ${message} (${code})${fix === undefined ? '' : `; ${fix}`}`,
  )
}
