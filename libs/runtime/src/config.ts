import { readFileSync } from 'node:fs'
import type { Setting } from './settings.ts'

// biome-ignore lint/suspicious/noExplicitAny: the type of each setting is inferred below
export type Settings = Readonly<Record<string, Setting<any>>>

export type Config<S extends Settings> = {
  readonly [Name in keyof S]: S[Name] extends Setting<infer T> ? T : never
}

/** All that is wrong with the environment, each fault naming its variable; no values of secrets. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError'
  readonly faults: readonly string[]

  constructor(faults: readonly string[]) {
    super(`the configuration is not valid:\n${faults.map((fault) => `  ${fault}`).join('\n')}`)
    this.faults = faults
  }
}

/**
 * Reads each setting once and freezes the result. An empty variable counts as unset. A secret may
 * come from the file that `<variable>_FILE` names. Throws `ConfigError` with every fault there is.
 */
export function readConfig<S extends Settings>(
  settings: S,
  env: Readonly<Record<string, string | undefined>> = process.env,
): Config<S> {
  const faults: string[] = []
  const result: Record<string, unknown> = {}
  for (const [name, setting] of Object.entries(settings)) {
    try {
      result[name] = readSetting(setting, env)
    } catch (error) {
      faults.push((error as Error).message)
    }
  }
  if (faults.length > 0) throw new ConfigError(faults)
  return Object.freeze(result) as Config<S>
}

function readSetting(
  setting: Setting<unknown>,
  env: Readonly<Record<string, string | undefined>>,
): unknown {
  const { variable, isSecret, fallback } = setting
  const given = env[variable] || readFileOf(setting, env)
  if (given === undefined) {
    if (fallback === undefined) {
      throw new Error(`${variable} must be set${isSecret ? ` (or ${variable}_FILE)` : ''}`)
    }
    return fallback.value
  }
  try {
    return setting.parse(given)
  } catch (error) {
    const shown = isSecret || given.length > 100 ? '' : ` (it is "${withoutPassword(given)}")`
    throw new Error(`${variable} ${(error as Error).message}${shown}`)
  }
}

function readFileOf(
  { variable, isSecret }: Setting<unknown>,
  env: Readonly<Record<string, string | undefined>>,
): string | undefined {
  if (!isSecret) return undefined
  const path = env[`${variable}_FILE`]
  if (!path) return undefined
  let content: string
  try {
    content = readFileSync(path, 'utf8').trim()
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? 'error'
    throw new Error(`${variable}_FILE must name a file that can be read (${code}: ${path})`)
  }
  if (content === '')
    throw new Error(`${variable}_FILE must name a file that is not empty (${path})`)
  return content
}

function withoutPassword(given: string): string {
  return given.replace(/\/\/[^@/]*@/, '//***@')
}
