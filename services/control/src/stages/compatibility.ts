import { findMismatch } from '@weir/core'

export type Contract = {
  readonly version: string
  readonly input: unknown
  readonly output: unknown
}

/**
 * What in a newer version's contracts would break the pipelines that use an older one of the same
 * major, or undefined. The newer input must take all that the older one took, the newer output must
 * offer all that the older one offered; anything else is a new major, hence a new topic.
 */
export function findBreak(older: Contract, newer: Contract): string | undefined {
  const input = findStricter(older.input, newer.input)
  if (input !== undefined) return `the input of ${newer.version} breaks ${older.version}: ${input}`
  const output = findStricter(newer.output, older.output)
  if (output !== undefined)
    return `the output of ${newer.version} breaks ${older.version}: ${output}`
  return undefined
}

/**
 * Why a value that fits the source may not fit the target. Beyond what is asked of an edge, where a
 * member that the source may leave out passes: between versions it does not.
 */
function findStricter(source: unknown, target: unknown): string | undefined {
  return findMismatch(source, target) ?? findNewlyRequired(source, target, '', DEPTH_MAX)
}

const DEPTH_MAX = 20
type Schema = Readonly<Record<string, unknown>>

function findNewlyRequired(
  source: unknown,
  target: unknown,
  at: string,
  depth: number,
): string | undefined {
  if (!isObject(source) || !isObject(target) || depth === 0) return undefined
  const given = listOf(source.required)
  const missing = listOf(target.required).find((name) => !given.includes(name))
  if (missing !== undefined) return `${at}/${missing} was optional`
  const [from, to] = [source.properties, target.properties]
  if (isObject(from) && isObject(to)) {
    for (const [name, schema] of Object.entries(to)) {
      if (!Object.hasOwn(from, name)) continue
      const found = findNewlyRequired(from[name], schema, `${at}/${name}`, depth - 1)
      if (found !== undefined) return found
    }
  }
  return findNewlyRequired(source.items, target.items, `${at}/items`, depth - 1)
}

const listOf = (names: unknown): unknown[] => (Array.isArray(names) ? names : [])

function isObject(value: unknown): value is Schema {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** Of the accepted versions the nearest one below, else the nearest above: what to compare with. */
export function nearestVersion<T extends { readonly version: string }>(
  version: string,
  accepted: readonly T[],
): { readonly other: T; readonly isOlder: boolean } | undefined {
  const sorted = accepted
    .filter((one) => one.version !== version)
    .sort((a, b) => compareVersions(a.version, b.version))
  const below = sorted.findLast((one) => compareVersions(one.version, version) < 0)
  if (below !== undefined) return { other: below, isOlder: true }
  const above = sorted[0]
  return above === undefined ? undefined : { other: above, isOlder: false }
}

/** By numbers, part by part: 1.10.0 is above 1.9.0. */
export function compareVersions(a: string, b: string): number {
  const [x, y] = [a, b].map((version) => version.split('.').map(Number)) as [number[], number[]]
  for (let part = 0; part < 3; part++) {
    const difference = (x[part] ?? 0) - (y[part] ?? 0)
    if (difference !== 0) return difference
  }
  return 0
}
