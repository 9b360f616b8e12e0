import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Run } from '../context.ts'

export const version: Run = async ({ out }) => {
  const manifest = join(import.meta.dirname, '..', '..', 'package.json')
  const { version: weir } = JSON.parse(readFileSync(manifest, 'utf8')) as { version: string }
  const node = process.versions.node
  await out.show({
    data: { weir, node },
    table: () => `weir ${weir} (Node.js ${node})`,
    names: () => [weir],
  })
}
