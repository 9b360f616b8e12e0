import { parseArgs } from 'node:util'

export const PARTS = ['baseline', 'backlog', 'linear', 'fan-out', 'latency', 'idle'] as const
export type Part = (typeof PARTS)[number]

export type Options = {
  readonly isQuick: boolean
  readonly parts: readonly Part[]
  /** Names of processes to take a CPU profile of, under the load of each throughput part. */
  readonly profile: readonly string[]
}

/** Reads `--quick`, `--only=part,…` and `--profile=process,…`. Throws with what is wrong. */
export function parseOptions(args: readonly string[]): Options {
  const { values } = parseArgs({
    args: [...args],
    options: {
      quick: { type: 'boolean' },
      only: { type: 'string' },
      profile: { type: 'string' },
    },
  })
  const only = values.only?.split(',')
  const unknown = only?.filter((name) => !PARTS.includes(name as Part)) ?? []
  if (unknown.length > 0)
    throw new Error(`--only: no part is named ${unknown.join(', ')}; there are ${PARTS.join(', ')}`)
  return {
    isQuick: values.quick ?? false,
    parts: PARTS.filter((part) => only?.includes(part) ?? true),
    profile: values.profile?.split(',') ?? [],
  }
}
