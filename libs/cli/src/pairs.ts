import { usage } from './failure.ts'

/** `k=v` flags as an object. */
export function parsePairs(flag: string, pairs: readonly string[] = []): Record<string, string> {
  return Object.fromEntries(
    pairs.map((pair) => {
      const at = pair.indexOf('=')
      if (at < 1) throw usage(`${flag} takes name=value, not "${pair}"`)
      return [pair.slice(0, at), pair.slice(at + 1)]
    }),
  )
}

/** A whole number of a flag, inside its bounds. */
export function parseInteger(
  flag: string,
  text: string | undefined,
  min = 0,
  max: number = Number.MAX_SAFE_INTEGER,
): number | undefined {
  if (text === undefined) return undefined
  const value = /^-?\d+$/.test(text) ? Number(text) : Number.NaN
  if (value >= min && value <= max) return value
  throw usage(`${flag} takes a whole number from ${min} to ${max}, not "${text}"`)
}
