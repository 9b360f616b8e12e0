import { globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseAllDocuments } from 'yaml'

export const root = join(import.meta.dirname, '../..')
export const read = (file: string): string => readFileSync(join(root, file), 'utf8')

/** A parsed document, read where a test knows what must be there. */
// biome-ignore lint/suspicious/noExplicitAny: the tests are what checks its shape.
export type Document = any

/** Documents of a YAML or JSON file; throws on the first fault of its syntax. */
export function parse(file: string): readonly Document[] {
  const documents = parseAllDocuments(read(file), { merge: true, uniqueKeys: true })
  return (Array.isArray(documents) ? documents : []).map((document) => {
    for (const fault of [...document.errors, ...document.warnings])
      throw new Error(`${file}: ${fault.message}`)
    // Our own files: they may refer to a part as often as they like.
    return document.toJS({ maxAliasCount: -1 })
  })
}

/** YAML and JSON files of the deployment, from the repository's root. */
export const manifestFiles: readonly string[] = [
  'docker-compose.yml',
  ...globSync('{deploy/k8s,deploy/observability,test/containers}/**/*.{yml,yaml,json}', {
    cwd: root,
  }).sort(),
]

export const composeServices = (): Readonly<Record<string, Document>> =>
  parse('docker-compose.yml')[0].services

/** Objects of the cluster, from all files of deploy/k8s. */
export const clusterObjects = (): readonly Document[] =>
  manifestFiles.filter((file) => file.startsWith('deploy/k8s/')).flatMap(parse)
