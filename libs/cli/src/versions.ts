import { readFileSync } from 'node:fs'
import { join } from 'node:path'

export type Versions = { readonly weir: string; readonly node: string }

/** Of this program, and of the Node.js that runs it. */
export function readVersions(): Versions {
  const manifest = join(import.meta.dirname, '../package.json')
  const { version: weir } = JSON.parse(readFileSync(manifest, 'utf8')) as { version: string }
  return { weir, node: process.versions.node }
}

export const formatVersions = ({ weir, node }: Versions): string => `weir ${weir} (Node.js ${node})`
