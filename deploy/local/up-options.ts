import { existsSync, realpathSync } from 'node:fs'
import { basename, dirname, join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { LauncherError } from './errors.ts'
import { infrastructureNames, platformProcesses } from './processes.ts'
import { repositoryDir } from './repository.ts'

export type UpOptions = {
  readonly home: string
  readonly apiPort?: number
  readonly only?: readonly string[]
  readonly isForeground: boolean
}

/** The installation's folder: WEIR_HOME, else `.weir` in the checkout. */
export function readHome(env: NodeJS.ProcessEnv): string {
  return toRealPath(env.WEIR_HOME ? resolve(env.WEIR_HOME) : resolve(repositoryDir, '.weir'))
}

/** One name for one folder, whatever links lead to it and whether or not it exists yet. */
function toRealPath(path: string): string {
  if (existsSync(path)) return realpathSync(path)
  const parent = dirname(path)
  return parent === path ? path : join(toRealPath(parent), basename(path))
}

/** Reads `--only=a,b` and `--foreground`, WEIR_HOME and WEIR_PORT. Fails with `invalid_option`. */
export function parseUpOptions(args: readonly string[], env: NodeJS.ProcessEnv): UpOptions {
  const values = parseFlags(args)
  const only = values.only?.split(',').filter((name) => name !== '')
  const names = [...infrastructureNames, ...platformProcesses.map(({ name }) => name)]
  const unknown = only?.filter((name) => !names.includes(name)) ?? []
  if (unknown.length > 0)
    throw new LauncherError(
      'invalid_option',
      `--only: no process is named ${unknown.join(', ')}; there are ${names.join(', ')}`,
    )
  const apiPort = env.WEIR_PORT ? Number(env.WEIR_PORT) : undefined
  if (apiPort !== undefined && !(Number.isInteger(apiPort) && apiPort > 0 && apiPort < 65_536))
    throw new LauncherError('invalid_option', `WEIR_PORT "${env.WEIR_PORT}" is not a port`)
  return {
    home: readHome(env),
    isForeground: values.foreground ?? false,
    ...(only ? { only } : {}),
    ...(apiPort === undefined ? {} : { apiPort }),
  }
}

function parseFlags(args: readonly string[]): { only?: string; foreground?: boolean } {
  try {
    return parseArgs({
      args: [...args],
      options: { only: { type: 'string' }, foreground: { type: 'boolean' } },
    }).values
  } catch (error) {
    throw new LauncherError('invalid_option', (error as Error).message)
  }
}
