import { existsSync, readFileSync, statSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

type Manifest = {
  readonly name: string
  readonly version: string
  readonly license?: string
  readonly dependencies?: Readonly<Record<string, string>>
}
type Lock = { packages: Record<string, unknown> }

/**
 * Enters a new package of the checkout in its lock file and in node_modules, as `npm install` would:
 * what it depends on is there already, so that neither a registry nor a minute is needed.
 */
export function addToWorkspace(repository: string, path: string): void {
  const lockFile = join(repository, 'package-lock.json')
  const installed = join(repository, 'node_modules', '.weir-installed')
  const wasInstalled = isNewer(installed, lockFile)
  const manifest = JSON.parse(readFileSync(join(repository, path, 'package.json'), 'utf8'))
  const lock = JSON.parse(readFileSync(lockFile, 'utf8')) as Lock
  const link = `node_modules/${(manifest as Manifest).name}`
  const { name, version, license, dependencies } = manifest as Manifest
  lock.packages = sorted({
    ...lock.packages,
    [link]: { resolved: path, link: true },
    [path]: { name, version, license, dependencies },
  })
  writeFileSync(lockFile, `${JSON.stringify(lock, null, 2)}\n`)
  if (!existsSync(join(repository, 'node_modules', '@weir'))) return
  if (!existsSync(join(repository, link))) symlinkSync(`../../${path}`, join(repository, link))
  // What `make` looks at to find out whether packages are to be installed again.
  if (wasInstalled) utimesSync(installed, new Date(), new Date())
}

const isNewer = (file: string, other: string): boolean =>
  existsSync(file) && statSync(file).mtimeMs >= statSync(other).mtimeMs

/** In npm's own order: the root first, then by name. */
function sorted(packages: Record<string, unknown>): Record<string, unknown> {
  const entries = Object.entries(packages).toSorted(([a], [b]) => a.localeCompare(b, 'en'))
  return Object.fromEntries(entries)
}
