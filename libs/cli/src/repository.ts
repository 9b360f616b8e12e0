import { existsSync, readFileSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { exitCodes } from './exit-codes.ts'
import { Failure } from './failure.ts'

/** The checkout that a folder is in, also where it is not its root. */
export function findRepository(cwd: string): string {
  for (let folder = resolve(cwd); ; folder = dirname(folder)) {
    if (isRepository(folder)) return folder
    if (folder === dirname(folder)) break
  }
  throw new Failure('Weir is started in a checkout of it, and this is none', {
    exitCode: exitCodes.failure,
    code: 'no_repository',
    hint: 'go there and try again; for an installation that runs elsewhere: weir context set',
  })
}

/** Whether a folder is the root of a checkout. */
export function isRepository(folder: string): boolean {
  const manifest = join(folder, 'package.json')
  if (!existsSync(join(folder, 'deploy', 'local', 'up.ts')) || !existsSync(manifest)) return false
  return (JSON.parse(readFileSync(manifest, 'utf8')) as { name?: string }).name === 'weir'
}
