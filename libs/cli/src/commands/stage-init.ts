import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { dirname, join, relative, resolve, sep } from 'node:path'
import type { StageKind } from '@weir/contracts/states'
import type { Run } from '../context.ts'
import { exitCodes } from '../exit-codes.ts'
import { Failure, usage } from '../failure.ts'
import { findRepository } from '../repository.ts'
import { stageFiles } from '../stage-files.ts'
import { addToWorkspace } from '../workspace.ts'

type InitFlags = { readonly dir?: string; readonly kind?: StageKind }

const STAGES = join('services', 'stages')

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
        : join(repository, STAGES)
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
  const path = relative(io.cwd, folder)
  const isInCheckout = repository !== undefined && parent === join(repository, STAGES)
  if (isInCheckout) {
    addToWorkspace(repository, [...STAGES.split(sep), name].join('/'))
    out.line(relative(io.cwd, join(repository, 'package-lock.json')))
  }
  const subject = isInCheckout ? name : path
  say(`test it:  weir stage test ${subject}`)
  say(`run it:   weir stage run ${subject}    (beside: weir up)`)
  say(`use it:   weir apply -f ${join(path, `${name}.yaml`)}`)
  if (isInCheckout) {
    const build = `docker build -f deploy/docker/stage.Dockerfile --build-arg STAGE=${name}`
    say(`image:    ${build} -t weir-stage-${name}:1.0.0 .`)
  }
}

function repositoryOf(cwd: string): string | undefined {
  try {
    return findRepository(cwd)
  } catch {
    return undefined
  }
}
