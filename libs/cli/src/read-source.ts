import { readFile } from 'node:fs/promises'
import { resolve } from 'node:path'
import { usage } from './failure.ts'
import type { Io } from './io.ts'

/** The text of a file, or of stdin for `-`. */
export async function readText(io: Io, path: string): Promise<string> {
  if (path !== '-') {
    try {
      return await readFile(resolve(io.cwd, path), 'utf8')
    } catch (error) {
      throw usage(`${path} cannot be read (${(error as NodeJS.ErrnoException).code})`)
    }
  }
  if (io.stdin.isTTY === true) throw usage('nothing is piped into stdin')
  const chunks: Buffer[] = []
  for await (const chunk of io.stdin) chunks.push(Buffer.from(chunk as string))
  return Buffer.concat(chunks).toString('utf8')
}

/** The value of `-d`: JSON, `@file`, or `-` for stdin. */
export async function readData(io: Io, flag: string, value: string): Promise<unknown> {
  const isFile = value === '-' || value.startsWith('@')
  const text = isFile ? await readText(io, value.replace(/^@/, '')) : value
  try {
    return JSON.parse(text)
  } catch (error) {
    throw usage(`${flag}: no JSON: ${(error as Error).message}`)
  }
}
