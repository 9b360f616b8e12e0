/** One environment variable: how it is read, and what it becomes. */
export type Setting<T> = {
  readonly variable: string
  /** A secret may also come from the file that `<variable>_FILE` names, and is never printed. */
  readonly isSecret: boolean
  /** Throws with a sentence that starts with "must". */
  readonly parse: (text: string) => T
  /** What an unset variable means; absent when it has to be set. */
  readonly fallback?: { readonly value: T }
}

type Options<T> = { readonly default?: T; readonly isSecret?: boolean }

function setting<T>(
  variable: string,
  { default: value, isSecret = false }: Options<T>,
  parse: (text: string) => T,
): Setting<T> {
  return { variable, isSecret, parse, ...(value === undefined ? {} : { fallback: { value } }) }
}

export function text(
  variable: string,
  options: Options<string> & { readonly pattern?: RegExp; readonly lengthMax?: number } = {},
): Setting<string> {
  const { pattern, lengthMax = 4096 } = options
  return setting(variable, options, (given) => {
    if (given.length > lengthMax) throw new Error(`must have at most ${lengthMax} characters`)
    if (pattern !== undefined && !pattern.test(given)) throw new Error(`must match ${pattern}`)
    return given
  })
}

/** A credential: also from a file, never in a message. */
export function secret(variable: string, options: { readonly default?: string } = {}) {
  return text(variable, { ...options, isSecret: true, lengthMax: 65_536 })
}

export function whole(
  variable: string,
  options: Options<number> & { readonly min?: number; readonly max?: number } = {},
): Setting<number> {
  const { min = Number.MIN_SAFE_INTEGER, max = Number.MAX_SAFE_INTEGER } = options
  return setting(variable, options, (given) => {
    const value = Number(given)
    if (!/^-?\d+$/.test(given) || value < min || value > max) {
      throw new Error(`must be a whole number from ${min} to ${max}`)
    }
    return value
  })
}

/** A number from 0 to 1. */
export function ratio(variable: string, options: Options<number> = {}): Setting<number> {
  return setting(variable, options, (given) => {
    const value = Number(given)
    if (!(value >= 0 && value <= 1)) throw new Error('must be a number from 0 to 1')
    return value
  })
}

export function flag(variable: string, options: Options<boolean> = {}): Setting<boolean> {
  return setting(variable, options, (given) => {
    if (given === 'true' || given === '1') return true
    if (given === 'false' || given === '0') return false
    throw new Error('must be true or false')
  })
}

export function oneOf<const T extends string>(
  variable: string,
  values: readonly T[],
  options: Options<T> = {},
): Setting<T> {
  return setting(variable, options, (given) => {
    const value = values.find((candidate) => candidate === given)
    if (value === undefined) throw new Error(`must be one of ${values.join(', ')}`)
    return value
  })
}

/** Comma separated; empty parts are left out. */
export function list(
  variable: string,
  options: Options<readonly string[]> & { readonly item?: RegExp } = {},
): Setting<readonly string[]> {
  const { item } = options
  return setting(variable, options, (given) => {
    const parts = given
      .split(',')
      .map((part) => part.trim())
      .filter((part) => part !== '')
    if (parts.length === 0) throw new Error('must name at least one')
    const wrong = item === undefined ? undefined : parts.find((part) => !item.test(part))
    if (wrong !== undefined) throw new Error(`must match ${item} in every part`)
    return parts
  })
}

export function url(
  variable: string,
  protocols: readonly string[],
  options: Options<string> = {},
): Setting<string> {
  return setting(variable, options, (given) => {
    const parsed = URL.parse(given)
    if (parsed === null || !protocols.includes(parsed.protocol)) {
      throw new Error(`must be an address that starts with ${protocols.join(' or ')}`)
    }
    return given
  })
}

/** The same, but it may be left out: then undefined. */
export function optional<T>(inner: Setting<T>): Setting<T | undefined> {
  return { ...inner, fallback: { value: undefined } }
}
