import { type Client, type ClientOptions, createClient } from '@weir/client'
import type { Io } from '../io.ts'
import { resolveTarget, type TargetOptions } from './target.ts'

/** The API under the credential that flags, environment and contexts name. */
export function connect(
  options: TargetOptions,
  io: Io,
  overrides: Pick<ClientOptions, 'retry'> = {},
): Client {
  const { api, key, tenant } = resolveTarget(options, io)
  return createClient({
    baseUrl: api,
    key,
    tenant,
    ...overrides,
    signal: io.signal,
    onRetry: ({ code }, waitMs) => {
      io.stderr.write(`weir: ${code}, trying again in ${Math.ceil(waitMs / 1_000)} s\n`)
    },
  })
}
