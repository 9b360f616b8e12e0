import { readdirSync, statSync } from 'node:fs'
import { basename, extname, join, resolve } from 'node:path'
import type { PipelineSource } from '@weir/client'
import { exitCodes } from './exit-codes.ts'
import { Failure, usage } from './failure.ts'
import type { Io } from './io.ts'
import { readText } from './read-source.ts'

/** A pipeline document as it was found. */
export type Document = {
  readonly name: string
  /** Where it was found, for people. */
  readonly from: string
  readonly text: string
  readonly type: 'application/json' | 'application/yaml'
}

const EXTENSIONS = ['.yaml', '.yml', '.json']

/** The documents of files and folders, by name; each is named as its file, or as `name` says. */
export async function readDocuments(
  io: Io,
  paths: readonly string[] | undefined,
  name: string | undefined,
): Promise<readonly Document[]> {
  if (paths === undefined || paths.length === 0) throw usage('which files? Give them with -f')
  const files = paths.flatMap((path) => (path === '-' ? [path] : filesAt(io, path)))
  if (files.length === 0) throw usage(`there is no .yaml or .json file in ${paths.join(', ')}`)
  if (name !== undefined && files.length > 1) throw usage('--name is for one file')
  const documents = await Promise.all(files.map((file) => readDocument(io, file, name)))
  const twice = documents.find(
    (one, at) => documents.findIndex((two) => two.name === one.name) < at,
  )
  if (twice !== undefined) throw usage(`there is more than one document for "${twice.name}"`)
  return documents
}

/** One document; its name is that of its file where none is given. */
export async function readDocument(io: Io, path: string, name?: string): Promise<Document> {
  const extension = extname(path)
  const named = name ?? basename(path, extension)
  if (path === '-' && name === undefined) throw usage('a document from stdin needs --name')
  const text = await readText(io, path)
  const isJson = extension === '.json' || (path === '-' && text.trimStart().startsWith('{'))
  const type = isJson ? 'application/json' : 'application/yaml'
  return { name: named, from: path === '-' ? 'stdin' : path, text, type }
}

function filesAt(io: Io, path: string): string[] {
  const full = resolve(io.cwd, path)
  const stats = statSync(full, { throwIfNoEntry: false })
  if (stats === undefined) throw usage(`there is no ${path}`)
  if (!stats.isDirectory()) return [path]
  return readdirSync(full)
    .filter((file) => EXTENSIONS.includes(extname(file)))
    .sort()
    .map((file) => join(path, file))
}

/** The document as the API takes it: the text itself, so that the server judges what was written. */
export const toSource = ({ text, type }: Document): PipelineSource => ({ text, type })

/** The document as a value. */
export async function parseDocument({ text, type, from }: Document): Promise<unknown> {
  try {
    if (type === 'application/json') return JSON.parse(text)
    const { parse } = await import('yaml')
    return parse(text, { maxAliasCount: 100 })
  } catch (error) {
    throw new Failure(`${from}: ${(error as Error).message.trimEnd()}`, {
      exitCode: exitCodes.failure,
      code: 'not_parsed',
    })
  }
}
