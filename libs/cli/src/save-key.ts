import { writeFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { readContexts, writeContexts } from './config/contexts.ts'
import type { Context } from './context.ts'
import { usage } from './failure.ts'

/** Refuses a context that is there before the key is made, as with files. */
export function reserveContext({ io }: Context, name: string | undefined): void {
  if (name === undefined) return
  if (!/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/.test(name)) throw usage(`"${name}" is no name`)
  const { contexts } = readContexts(io.env)
  if (Object.hasOwn(contexts, name)) {
    throw usage(`there is a context "${name}" already`, `weir context remove ${name}`)
  }
}

/** Keeps address and key under the reserved name. */
export function keepInContext({ io, say }: Context, name: string, api: string, key: string): void {
  const { current, contexts } = readContexts(io.env)
  writeContexts(io.env, {
    current: current ?? name,
    contexts: { ...contexts, [name]: { api, key } },
  })
  say(`kept as context "${name}"; to use it: weir context use ${name}`)
}

/**
 * Refuses a file that is there before the key is made: it is shown once, and must not be lost to a
 * file that cannot be written, nor take the place of another key.
 */
export function reserveKeyFile({ io }: Context, file: string | undefined): string | undefined {
  if (file === undefined) return undefined
  const path = resolve(io.cwd, file)
  try {
    writeFileSync(path, '', { mode: 0o600, flag: 'wx' })
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    throw usage(
      code === 'EEXIST' ? `${file} is there already` : `${file} cannot be written (${code})`,
    )
  }
  return path
}

/** Writes the key to the reserved file and gives what is left to show; without one shows the key too. */
export function keepKey<Value extends object>(
  context: Context,
  path: string | undefined,
  value: Value,
  member: keyof Value & string,
): Partial<Value> {
  const { [member]: key, ...rest } = value
  if (key === undefined) {
    if (path !== undefined) context.say('no key was made: the file stays empty')
    return value
  }
  if (path === undefined) {
    context.say('the key is shown this once')
    return value
  }
  writeFileSync(path, `${key}\n`)
  context.say(`the key is in ${path}`)
  return rest as Partial<Value>
}
