import { type Client, ClientError } from '@weir/client'
import type { Context, Run } from '../context.ts'
import { diffLines, keepContext } from '../diff-lines.ts'
import { exitCodes } from '../exit-codes.ts'
import { Failure, toFailure } from '../failure.ts'
import { toYaml } from '../output/output.ts'
import { clean } from '../output/table.ts'
import { parseDocument, readDocuments } from '../read-documents.ts'

type DiffFlags = { readonly file?: readonly string[]; readonly name?: string }

/** 1 is kept for a difference: what could not be compared ends with another status. */
export const diff: Run<DiffFlags> = async (context, flags) => {
  try {
    return await compare(context, flags)
  } catch (error) {
    const { exitCode, message, code, hint } = toFailure(error)
    if (exitCode !== exitCodes.failure || context.io.signal.aborted) throw error
    throw new Failure(message, { exitCode: exitCodes.usage, code, hint, cause: error })
  }
}

async function compare(context: Context, flags: DiffFlags): Promise<number> {
  const { io, out, say } = context
  const documents = await readDocuments(io, flags.file, flags.name)
  const wanted = await Promise.all(documents.map(parseDocument))
  const client = await context.connect()
  let differs = false
  for (const [at, { name, from }] of documents.entries()) {
    const current = await findCurrent(client, name)
    const after = await toLines(wanted[at])
    const before = current === undefined ? [] : await toLines(current.document)
    const lines = diffLines(before, after)
    if (lines.length === 0) continue
    differs = true
    out.line(
      out.paint(
        'bold',
        `--- ${name} ${current === undefined ? 'not published' : `v${current.version}`}`,
      ),
    )
    out.line(out.paint('bold', `+++ ${from}`))
    for (const line of keepContext(lines)) {
      const color = line.startsWith('+') ? 'green' : line.startsWith('-') ? 'red' : 'reset'
      out.line(out.paint(color, clean(line)))
    }
  }
  if (!differs) say(`${documents.length === 1 ? 'it is' : 'they are'} as published`)
  return differs ? exitCodes.failure : exitCodes.ok
}

async function findCurrent({ pipelines }: Client, name: string) {
  try {
    return await pipelines.get(name)
  } catch (error) {
    if (ClientError.is(error) && error.code === 'not_found') return undefined
    throw error
  }
}

/** As YAML in one order of members: that of a document says nothing. */
async function toLines(document: unknown): Promise<string[]> {
  return (await toYaml(sortMembers(document))).trimEnd().split('\n')
}

function sortMembers(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sortMembers)
  if (typeof value !== 'object' || value === null) return value
  const entries = Object.entries(value).toSorted(([a], [b]) => (a < b ? -1 : 1))
  return Object.fromEntries(entries.map(([name, member]) => [name, sortMembers(member)]))
}
