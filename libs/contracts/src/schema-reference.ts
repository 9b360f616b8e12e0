import type { TSchema } from 'typebox'
import { type AuditAction, auditActions, DENIAL_CAUSES } from './audit-actions.ts'
import { eventSchemaName, jobEventSchemas } from './job-event-schemas.ts'

/*
 * What docs/reference says of events and of audit entries, from their schemas; write-schema-reference.ts
 * writes it, and a test compares.
 */

const DIALECT = 'https://json-schema.org/draft/2020-12/schema'

/** JSON Schema of any event of a job's log. */
export function describeEventSchemas(): object {
  const named = Object.entries(jobEventSchemas).map(([type, schema]) => [
    eventSchemaName(type),
    schema,
  ])
  return {
    $schema: DIALECT,
    title: 'An event of a job',
    oneOf: named.map(([name]) => ({ $ref: `#/$defs/${name}` })),
    $defs: Object.fromEntries(named),
  }
}

/** JSON Schema of an audit entry: the detail of each action. */
export function describeAuditSchemas(): object {
  const cases = Object.entries(auditActions).map(([action, { text, detail }]) => ({
    description: text,
    properties: { action: { const: action }, detail },
  }))
  const text = { type: 'string' }
  return {
    $schema: DIALECT,
    title: 'An entry of the audit log',
    type: 'object',
    required: ['id', 'at', 'actor', 'action', 'object', 'decision', 'requestId', 'detail'],
    properties: {
      id: { type: 'string', format: 'uuid' },
      at: { type: 'string', format: 'date-time' },
      actor: text,
      object: text,
      decision: { enum: ['allowed', 'denied'] },
      requestId: text,
      reason: { type: ['string', 'null'] },
    },
    oneOf: cases,
  }
}

/** The table of docs/reference/events.md. */
export function describeEvents(): string {
  const rows = Object.entries(jobEventSchemas).map(([type, schema]) => [
    `\`${type}\``,
    String((schema as { description?: string }).description ?? '').replace(/^./, lower),
    membersOf(schema.properties.data),
  ])
  return table(['type', 'when', '`data`'], rows)
}

/** The table of docs/reference/audit.md. */
export function describeAudit(): string {
  const rows = (Object.keys(auditActions) as AuditAction[]).map((action) => {
    const { log, text, detail } = auditActions[action]
    return [`\`${action}\``, log === 'both' ? 'tenant, installation' : log, text, membersOf(detail)]
  })
  return table(['action', 'log', 'what', '`detail`'], rows)
}

/** The causes of denials, in a sentence of docs/reference/audit.md. */
export const describeCauses = (): readonly string[] => DENIAL_CAUSES.map((cause) => `\`${cause}\``)

type ObjectSchema = {
  readonly properties?: Readonly<Record<string, TSchema>>
  readonly required?: readonly string[]
}

/** The members of an object, those that are always there first; of an object in it their names. */
function membersOf(schema: TSchema): string {
  const { properties = {}, required = [] } = schema as ObjectSchema
  const named = (isWanted: (name: string) => boolean) =>
    Object.entries(properties)
      .filter(([name]) => isWanted(name))
      .map(([name, member]) => `\`${name}\`${innerOf(member)}`)
      .join(', ')
  const always = named((name) => required.includes(name))
  const sometimes = named((name) => !required.includes(name))
  return [always, sometimes && `at times ${sometimes}`].filter(Boolean).join('; ')
}

function innerOf(schema: TSchema): string {
  const names = Object.keys((schema as ObjectSchema).properties ?? {})
  return names.length === 0 ? '' : ` (${names.map((name) => `\`${name}\``).join(', ')})`
}

const lower = (letter: string) => letter.toLowerCase()

function table(names: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) =>
    `|${cells.map((cell) => ` ${cell}`.trimEnd()).join(' |')} |`
  return [line(names), `|${names.map(() => '---|').join('')}`, ...rows.map(line)].join('\n')
}
