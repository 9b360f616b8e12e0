import { execFileSync } from 'node:child_process'
import {
  cpSync,
  existsSync,
  globSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readlinkSync,
  realpathSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'

const root = join(import.meta.dirname, '..', '..')
/** Where npm puts what links to packages of ours, and so must be the copy's own. */
const OWN = ['@weir', '.bin']

export type Checkout = { readonly folder: string; remove(): void }

/**
 * A checkout of its own to write into: the files as they are here, and node_modules whose packages
 * of others are links to those that are installed.
 */
export function copyCheckout(): Checkout {
  const folder = realpathSync(mkdtempSync(join(tmpdir(), 'weir-checkout-')))
  const files = execFileSync('git', ['ls-files', '-co', '--exclude-standard'], { cwd: root })
  for (const file of files.toString().split('\n')) {
    if (file === '' || !existsSync(join(root, file))) continue
    mkdirSync(dirname(join(folder, file)), { recursive: true })
    cpSync(join(root, file), join(folder, file), { preserveTimestamps: true })
  }
  const [installed, modules] = [join(root, 'node_modules'), join(folder, 'node_modules')]
  for (const own of OWN) mkdirSync(join(modules, own), { recursive: true })
  for (const name of readdirSync(installed)) {
    if (OWN.includes(name)) continue
    symlinkSync(join(installed, name), join(modules, name))
  }
  for (const own of OWN) {
    for (const name of readdirSync(join(installed, own))) {
      symlinkSync(readlinkSync(join(installed, own, name)), join(modules, own, name))
    }
  }
  // What npm could not put at the top, in another version.
  for (const nested of globSync('{libs,services,services/stages}/*/node_modules', { cwd: root })) {
    symlinkSync(join(root, nested), join(folder, nested))
  }
  // What `make` looks at: everything is installed.
  const stamp = join(modules, '.weir-installed')
  rmSync(stamp, { force: true })
  writeFileSync(stamp, '')
  const soon = new Date(Date.now() + 1_000)
  utimesSync(stamp, soon, soon)
  return { folder, remove: () => rmSync(folder, { recursive: true, force: true }) }
}
