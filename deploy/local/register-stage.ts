import { LauncherError } from './errors.ts'
import { readStageKey, writeStageKey } from './installation-secrets.ts'

const requestTimeoutMs = 30_000

export type RegisterStageOptions = {
  readonly home: string
  readonly api: string
  readonly operatorKey: string
  readonly stage: { readonly ref: string; readonly partitions: number }
}

/** Registers a stage, or finds it registered, and returns its key. Fails with `registration_failed`. */
export async function registerStage(options: RegisterStageOptions): Promise<string> {
  const { home, stage } = options
  const path = `/v1/stages/${stage.ref}`
  const registered = await call(options, 'PUT', path, { partitions: stage.partitions })
  // 201 comes with a key: a saved one belongs to a database that is no more.
  const known = registered.stageKey ?? readStageKey(home, stage.ref)
  const key = known ?? (await call(options, 'POST', `${path}/key`)).stageKey
  if (!key) throw new LauncherError('registration_failed', `${stage.ref} was given no key`)
  writeStageKey(home, stage.ref, key)
  return key
}

async function call(
  { api, operatorKey }: RegisterStageOptions,
  method: 'PUT' | 'POST',
  path: string,
  body?: unknown,
): Promise<{ stageKey?: string }> {
  const response = await fetch(`${api}${path}`, {
    method,
    headers: {
      authorization: `Bearer ${operatorKey}`,
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
    },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    signal: AbortSignal.timeout(requestTimeoutMs),
  })
  const text = await response.text()
  if (response.ok) return JSON.parse(text || '{}')
  throw new LauncherError(
    'registration_failed',
    `${method} ${path} answered ${response.status}: ${text}`,
  )
}
