import { existsSync } from 'node:fs'
import { join, relative, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import type { StageKind } from '@weir/contracts/states'
import { exitCodes } from './exit-codes.ts'
import { Failure } from './failure.ts'
import { findRepository } from './repository.ts'

/** What the source of a stage says of it. */
export type SourceStage = {
  readonly folder: string
  readonly ref: string
  readonly name: string
  readonly version: string
  readonly kind: StageKind
  readonly contract: {
    readonly version: string
    readonly hash: string
    readonly input: unknown
    readonly output: unknown
  }
}

type Defined = Pick<SourceStage, 'ref' | 'name' | 'version' | 'kind'> & {
  readonly contracts: { readonly hash: string; readonly input: unknown; readonly output: unknown }
}

const SOURCE = join('src', 'stage.ts')

/** The folder of a stage: a path to it, or its name below `services/stages` of the checkout. */
export function findStageFolder(cwd: string, nameOrPath: string): string {
  const asPath = resolve(cwd, nameOrPath)
  if (existsSync(join(asPath, SOURCE))) return asPath
  const isName = /^[a-z][a-z0-9-]{0,39}$/.test(nameOrPath)
  const folder = isName ? join(findRepository(cwd), 'services', 'stages', nameOrPath) : asPath
  if (existsSync(join(folder, SOURCE))) return folder
  throw new Failure(`there is no ${relative(cwd, join(folder, SOURCE))}`, {
    exitCode: exitCodes.notFound,
    code: 'no_stage',
    hint: isName ? `write one with: weir stage init ${nameOrPath}` : 'give the folder of a stage',
  })
}

/** Loads the stage that `src/stage.ts` of a folder exports. */
export async function loadStage(folder: string): Promise<SourceStage> {
  const file = join(folder, SOURCE)
  let exported: Record<string, unknown>
  try {
    exported = (await import(pathToFileURL(file).href)) as Record<string, unknown>
  } catch (error) {
    throw broken(`${file}: ${(error as Error).message}`, error)
  }
  const stages = Object.values(exported).filter(isStage)
  const [stage] = stages
  if (stage === undefined || stages.length > 1) {
    throw broken(`${file} exports ${stages.length} stages; it is to export one (defineStage)`)
  }
  const { ref, name, version, kind, contracts } = stage
  return { folder, ref, name, version, kind, contract: { version, ...contracts } }
}

function isStage(value: unknown): value is Defined {
  return (
    typeof value === 'object' &&
    value !== null &&
    ['ref', 'version', 'kind', 'contracts', 'handler'].every((member) => member in value)
  )
}

const broken = (message: string, cause?: unknown): Failure =>
  new Failure(message, { exitCode: exitCodes.failure, code: 'stage_broken', cause })
