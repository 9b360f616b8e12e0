import { accessSync, constants, mkdirSync, statSync, writeFileSync } from 'node:fs'
import { delimiter, join, resolve } from 'node:path'
import { baseEnv } from './base-env.ts'
import { LauncherError } from './errors.ts'
import { writeJaegerConfig } from './jaeger-config.ts'
import { findFreePort } from './ports.ts'
import type { ProcessSpec } from './process-spec.ts'

export const jaegerHint =
  'put a `jaeger` in PATH, or its path in WEIR_JAEGER_BIN (docs/guides/operating.md says where it is to be had)'

export type PreparedJaeger = {
  /** Base URL of the web pages and of the query API. */
  readonly url: string
  /** For WEIR_OTLP_URL. */
  readonly otlpUrl: string
  readonly spec: ProcessSpec
}

/**
 * The Jaeger of this machine: what WEIR_JAEGER_BIN names (`off`: none), else `jaeger` in PATH. Fails
 * with `invalid_option` where what is named is no program.
 */
export function findJaeger(env: NodeJS.ProcessEnv): string | undefined {
  const named = env.WEIR_JAEGER_BIN
  if (named === 'off') return undefined
  if (named) {
    if (isProgram(named)) return resolve(named)
    throw new LauncherError('invalid_option', `WEIR_JAEGER_BIN "${named}" is not a program`)
  }
  return (env.PATH ?? '')
    .split(delimiter)
    .filter((folder) => folder !== '')
    .map((folder) => join(folder, 'jaeger'))
    .find(isProgram)
}

/** Writes its configuration, on free loopback ports, and says how to run it. */
export async function prepareJaeger(options: {
  readonly home: string
  readonly binary: string
}): Promise<PreparedJaeger> {
  const dir = resolve(options.home, 'jaeger')
  const configPath = join(dir, 'config.yaml')
  const [http, grpc, otlp, health] = [
    await findFreePort(),
    await findFreePort(),
    await findFreePort(),
    await findFreePort(),
  ]
  mkdirSync(dir, { recursive: true })
  writeFileSync(configPath, writeJaegerConfig({ http, grpc, otlp, health }))
  return {
    url: `http://127.0.0.1:${http}`,
    otlpUrl: `http://127.0.0.1:${otlp}`,
    spec: {
      name: 'jaeger',
      argv: [options.binary, '--config', configPath],
      env: baseEnv(),
      cwd: dir,
      readyUrl: `http://127.0.0.1:${health}/status`,
      tier: 0,
    },
  }
}

function isProgram(path: string): boolean {
  try {
    accessSync(path, constants.X_OK)
    return statSync(path).isFile()
  } catch {
    return false
  }
}
