import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

/** Where the volumes are mounted: the vault, and a folder for each that is given some of it. */
export const secretsDir = process.env.WEIR_SECRETS_DIR || '/secrets'
export const vaultDir = join(secretsDir, 'vault')

/** Writes a secret for its reader: whole or not at all, for its user and its group. */
export function handOut(reader: string, name: string, value: string): void {
  const path = join(secretsDir, reader, name)
  mkdirSync(join(secretsDir, reader), { recursive: true, mode: 0o750 })
  if (read(path) === value) return
  const part = `${path}.part`
  writeFileSync(part, value, { mode: 0o640 })
  renameSync(part, path)
}

function read(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return undefined
  }
}
