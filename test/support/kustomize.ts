import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { parseAllDocuments } from 'yaml'
import { type Document, root } from './manifests.ts'

/** What `kubectl` or `kustomize` makes of a kustomization; undefined where neither is there. */
export function buildKustomization(folder: string): readonly Document[] | undefined {
  for (const command of [
    ['kustomize', 'build'],
    ['kubectl', 'kustomize'],
  ] as const) {
    const [program, verb] = command
    const built = spawnSync(program, [verb, join(root, folder)], { encoding: 'utf8' })
    if (built.error !== undefined) continue
    if (built.status !== 0) throw new Error(`${folder}: ${built.stderr}`)
    const documents = parseAllDocuments(built.stdout)
    return (Array.isArray(documents) ? documents : []).map((document) => document.toJS())
  }
  return undefined
}
