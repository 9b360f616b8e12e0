import { chmodSync, mkdirSync, readFileSync, renameSync, statSync, writeFileSync } from 'node:fs'
import { homedir } from 'node:os'
import { dirname, join } from 'node:path'
import { exitCodes } from '../exit-codes.ts'
import { Failure } from '../failure.ts'

/** An address with its credential, under a name. */
export type Entry = { readonly api: string; readonly key?: string }

export type Contexts = {
  readonly current?: string
  readonly contexts: Readonly<Record<string, Entry>>
}

type Env = Readonly<Record<string, string | undefined>>

/** `$XDG_CONFIG_HOME/weir/contexts.json`, else below `~/.config`. */
export function contextsPath(env: Env): string {
  const base = env.XDG_CONFIG_HOME || join(env.HOME || homedir(), '.config')
  return join(base, 'weir', 'contexts.json')
}

/** The file's content; without a file there are no contexts. */
export function readContexts(env: Env): Contexts {
  const path = contextsPath(env)
  let text: string
  try {
    text = readFileSync(path, 'utf8')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return { contexts: {} }
    throw error
  }
  try {
    const value = JSON.parse(text) as Contexts
    if (typeof value.contexts === 'object' && value.contexts !== null) return value
  } catch {
    // Said below.
  }
  throw new Failure(`${path} is not a file of contexts`, {
    exitCode: exitCodes.failure,
    code: 'contexts_broken',
    hint: 'repair it or move it away, then: weir context set',
  })
}

/** Replaces the file as a whole; its owner alone can read it from its first byte on. */
export function writeContexts(env: Env, contexts: Contexts): void {
  const path = contextsPath(env)
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 })
  const part = `${path}.${process.pid}`
  writeFileSync(part, `${JSON.stringify(contexts, null, 2)}\n`, { mode: 0o600 })
  // The mode above is for a new file only.
  chmodSync(part, 0o600)
  renameSync(part, path)
}

/** Whether others than its owner can read a file of secrets; false where it is not there. */
export function isReadableByOthers(path: string): boolean {
  if (process.platform === 'win32') return false
  const stats = statSync(path, { throwIfNoEntry: false })
  return stats !== undefined && (stats.mode & 0o077) !== 0
}
