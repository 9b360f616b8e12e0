import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { newUuid } from '@weir/contracts'
import { cloneDatabase, type TestDatabase } from '../../../test/support/database.ts'
import { checkRole } from './check-role.ts'
import { createPool } from './pool.ts'
import { SERVICE_ROLES } from './roles.ts'

let db: TestDatabase

before(async () => {
  db = await cloneDatabase()
  await db.addTenant(newUuid(), 'one')
})
after(() => db.drop())

describe('the check of a role', () => {
  for (const role of SERVICE_ROLES) {
    it(`accepts ${role}`, () => checkRole(db.pool(role, 1), role))
  }

  it('refuses a superuser, naming every fault', async () => {
    const pool = createPool({ url: db.adminUrl, max: 1, applicationName: 'test' })
    try {
      await assert.rejects(checkRole(pool), /superuser.*bypasses row security.*may call/)
    } finally {
      await pool.end()
    }
  })

  it('refuses the migrator, who can become the owner', async () => {
    await assert.rejects(checkRole(db.pool('weir_migrator', 1)), /is a member of weir_owner/)
  })

  it('refuses the role of another service', async () => {
    await assert.rejects(
      checkRole(db.pool('weir_ledger', 1), 'weir_control'),
      /it is not weir_control/,
    )
  })

  it('refuses a role that may set its tenant by itself', async () => {
    await db.admin('grant execute on function set_config(text, text, boolean) to weir_control')
    await assert.rejects(checkRole(db.pool('weir_control', 1)), /may call set_config/)
    await db.admin('revoke execute on function set_config(text, text, boolean) from weir_control')
  })

  it('refuses a database whose policies do not bind', async () => {
    await db.admin('alter table jobs no force row level security')
    await assert.rejects(checkRole(db.pool('weir_control', 1)), /does not bind it on jobs/)
    await db.admin('alter table jobs force row level security')
    await db.admin('create policy leak on tenants to weir_control using (true)')
    await db.admin('drop policy tenants_tenant on tenants')
    await assert.rejects(checkRole(db.pool('weir_control', 1)), /sees rows without a tenant/)
  })
})
