import assert from 'node:assert/strict'
import { type AuditAction, auditActions } from '@weir/contracts'
import { INSTALLATION } from '@weir/postgres'
import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js'
import addFormats from 'ajv-formats'
import { closeSchema } from './close-schema.ts'

export type AuditRow = {
  readonly tenant: string
  readonly action: string
  readonly decision: string
  /** JSON text. */
  readonly detail: string | null
}

const ajv = new Ajv2020({ strict: false })
addFormats.default(ajv)
const validators = new Map<string, ValidateFunction>()

/** Fails where an entry is none of the catalogue: its action, its log, or what its detail says. */
export function assertAudited(row: AuditRow): void {
  const said = JSON.stringify(row)
  assert.ok(Object.hasOwn(auditActions, row.action), `the catalogue does not know ${said}`)
  const { log, detail } = auditActions[row.action as AuditAction]
  const own = row.tenant === INSTALLATION ? 'installation' : 'tenant'
  assert.ok(log === 'both' || log === own, `it stands in the log of the ${own}: ${said}`)
  const validate = validators.get(row.action) ?? ajv.compile(closeSchema(detail))
  validators.set(row.action, validate)
  assert.ok(
    validate(row.detail === null ? null : JSON.parse(row.detail)),
    `${said}: ${JSON.stringify(validate.errors)}`,
  )
  const isDenied = /\.(denied|refused|crowded)$/.test(row.action)
  assert.equal(row.decision, isDenied ? 'denied' : 'allowed', said)
}
