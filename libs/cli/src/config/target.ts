import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { exitCodes } from '../exit-codes.ts'
import { Failure, usage } from '../failure.ts'
import type { Io } from '../io.ts'
import { type Contexts, readContexts } from './contexts.ts'

export type TargetOptions = {
  readonly api?: string
  readonly keyFile?: string
  readonly context?: string
  readonly tenant?: string
  readonly reason?: string
}

export type Target = {
  readonly api: string
  readonly key: string | undefined
  /** Where the two come from, for people. */
  readonly apiFrom: string
  readonly keyFrom: string
  readonly tenant: { readonly id: string; readonly reason: string } | undefined
}

const API_DEFAULT = 'http://127.0.0.1:8080'
const KEY = /^weir_[A-Za-z0-9-]+_[A-Za-z0-9_-]+$/

/**
 * Which API under which key. A flag beats the environment, which beats the context. A key of a
 * context is for its own address: together with another address it is not sent.
 */
export function resolveTarget(options: TargetOptions, io: Io): Target {
  const { env } = io
  const contexts = readContexts(env)
  const name = options.context ?? (env.WEIR_CONTEXT || contexts.current)
  const entry = findContext(contexts, name)
  const where = `context ${name}`
  const [api, apiFrom] = firstOf(
    [options.api, '--api'],
    [env.WEIR_API, 'WEIR_API'],
    [entry?.api, where],
    [API_DEFAULT, 'default'],
  )
  const ownKey = entry !== undefined && entry.api === api ? entry.key : undefined
  const [key, keyFrom] = firstOf(
    [options.keyFile && readKeyFile(resolve(io.cwd, options.keyFile)), '--key-file'],
    [env.WEIR_KEY, 'WEIR_KEY'],
    [env.WEIR_KEY_FILE && readKeyFile(env.WEIR_KEY_FILE), 'WEIR_KEY_FILE'],
    [ownKey, where],
  )
  if (key !== undefined && !KEY.test(key)) {
    throw usage(`the key from ${keyFrom} has not the form weir_<keyId>_<secret>`)
  }
  const address = parseAddress(api as string, apiFrom)
  return { api: address, apiFrom, key, keyFrom, tenant: tenantOf(options) }
}

function findContext(contexts: Contexts, name: string | undefined) {
  if (name === undefined) return undefined
  const entry = Object.hasOwn(contexts.contexts, name) ? contexts.contexts[name] : undefined
  if (entry !== undefined) return entry
  throw new Failure(`there is no context "${name}"`, {
    exitCode: exitCodes.usage,
    code: 'unknown_context',
    hint: 'weir context list',
  })
}

/** The first that says something; empty means unset. */
function firstOf(
  ...sources: (readonly [value: string | undefined, from: string])[]
): readonly [string | undefined, string] {
  return sources.find(([value]) => value !== undefined && value !== '') ?? [undefined, 'nowhere']
}

function parseAddress(text: string, from: string): string {
  const url = URL.parse(text)
  if (url === null || !['http:', 'https:'].includes(url.protocol)) {
    throw usage(`the address "${text}" from ${from} is no http or https address`)
  }
  if (url.username !== '' || url.password !== '') {
    throw usage(`the address from ${from} holds a credential`, 'give the key as WEIR_KEY')
  }
  return text.replace(/\/+$/, '')
}

function tenantOf({ tenant, reason }: TargetOptions): Target['tenant'] {
  if (tenant === undefined && reason === undefined) return undefined
  if (tenant !== undefined && reason !== undefined) return { id: tenant, reason }
  throw usage('--tenant and --reason go together', 'the reason is written to the audit log')
}

/** The key that a file holds, alone on its first line. */
export function readKeyFile(path: string): string {
  try {
    return (readFileSync(path, 'utf8').split('\n', 1)[0] as string).trim()
  } catch (error) {
    throw usage(`the key file ${path} cannot be read (${(error as NodeJS.ErrnoException).code})`)
  }
}
