import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { dirname, join, relative, resolve } from 'node:path'
import type { StageKind } from '@weir/contracts/states'
import type { Run } from '../context.ts'
import { exitCodes } from '../exit-codes.ts'
import { Failure, usage } from '../failure.ts'
import { stageFiles } from '../stage-files.ts'
import { findRepository } from './up.ts'

type InitFlags = { readonly dir?: string; readonly kind?: StageKind }

export const initStage: Run<InitFlags> = async ({ io, args, out, say }, flags) => {
  const name = args[0] as string
  if (!/^[a-z][a-z0-9-]{0,39}$/.test(name)) {
    throw usage(
      `"${name}" is no name of a stage`,
      'lower-case letters, digits and hyphens, up to 40',
    )
  }
  const repository = repositoryOf(io.cwd)
  const parent =
    flags.dir === undefined
      ? repository === undefined
        ? io.cwd
        : join(repository, 'services', 'stages')
      : resolve(io.cwd, flags.dir)
  const folder = join(parent, name)
  if (existsSync(folder)) {
    throw new Failure(`${folder} is there already`, {
      exitCode: exitCodes.conflict,
      code: 'conflict',
    })
  }
  for (const { path, text } of stageFiles(name, flags.kind ?? 'transform')) {
    const file = join(folder, path)
    mkdirSync(dirname(file), { recursive: true })
    writeFileSync(file, text, { flag: 'wx' })
    out.line(relative(io.cwd, file))
  }
  const tests = join(relative(io.cwd, folder), 'src', '*.test.ts')
  say(`test it:      node --test ${tests}`)
  say(`register it:  weir stage register ${name}@1 --save-key ${name}.key`)
}

function repositoryOf(cwd: string): string | undefined {
  try {
    return findRepository(cwd)
  } catch {
    return undefined
  }
}
