/** Writes what docs/reference says of events and audit entries; a test compares it with the schemas. */
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import {
  describeAudit,
  describeAuditSchemas,
  describeEventSchemas,
  describeEvents,
} from './schema-reference.ts'

const folder = join(import.meta.dirname, '..', '..', '..', 'docs', 'reference')

/** Of a page only the table is made; the words around it are somebody's. */
function writeTable(page: string, table: string): void {
  const file = join(folder, page)
  const [head = ''] = table.split('\n')
  const lines = readFileSync(file, 'utf8').split('\n')
  const from = lines.indexOf(head)
  if (from === -1) throw new Error(`${page} has no table that begins with ${head}`)
  const length = lines.slice(from).findIndex((line) => !line.startsWith('|'))
  lines.splice(from, length, table)
  writeFileSync(file, lines.join('\n'))
}

function writeSchema(name: string, schema: object): void {
  writeFileSync(join(folder, name), `${JSON.stringify(schema, null, 2)}\n`)
}

writeTable('events.md', describeEvents())
writeTable('audit.md', describeAudit())
writeSchema('events.schema.json', describeEventSchemas())
writeSchema('audit.schema.json', describeAuditSchemas())
