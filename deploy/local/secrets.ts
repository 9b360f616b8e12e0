import { existsSync, linkSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

/** Path of a secret of this installation. */
export function secretPath(home: string, name: string): string {
  return join(home, 'secrets', name)
}

/** The secret of this name, undefined when there is none yet. */
export function readSecret(home: string, name: string): string | undefined {
  const path = secretPath(home, name)
  return existsSync(path) ? readFileSync(path, 'utf8').trim() : undefined
}

/** Keeps a secret readable by this user alone, in place of one of the same name. */
export function writeSecret(home: string, name: string, value: string): void {
  mkdirSync(join(home, 'secrets'), { recursive: true, mode: 0o700 })
  rmSync(secretPath(home, name), { force: true })
  writeFileSync(secretPath(home, name), `${value}\n`, { mode: 0o600, flag: 'wx' })
}

/** The secret of this name, made by `generate` on first use. */
export function ensureSecret(home: string, name: string, generate: () => string): string {
  const known = readSecret(home, name)
  if (known) return known
  mkdirSync(join(home, 'secrets'), { recursive: true, mode: 0o700 })
  const part = `${secretPath(home, name)}.${process.pid}`
  writeFileSync(part, `${generate()}\n`, { mode: 0o600 })
  try {
    // A link appears complete or not at all, and never replaces what another process has made.
    linkSync(part, secretPath(home, name))
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
  } finally {
    rmSync(part, { force: true })
  }
  return readFileSync(secretPath(home, name), 'utf8').trim()
}
