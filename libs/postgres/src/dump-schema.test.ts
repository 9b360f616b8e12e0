import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { after, before, describe, it } from 'node:test'
import { cloneDatabase, type TestDatabase } from '../../../test/support/database.ts'
import { withClient } from './client.ts'
import { dumpSchema } from './dump-schema.ts'

const committed = new URL('../../../migrations/schema.sql', import.meta.url)
let db: TestDatabase

before(async () => {
  db = await cloneDatabase()
})
after(() => db.drop())

describe('the dump of the schema', () => {
  it('is the one beside the migrations', async () => {
    assert.equal(await withClient(db.adminUrl, dumpSchema), await readFile(committed, 'utf8'))
  })

  it('changes with a grant, a policy, a column or a function', async () => {
    const changes = [
      'grant delete on weir.jobs to weir_control',
      'grant update (input) on weir.jobs to weir_control',
      'create policy more on weir.jobs to weir_control using (true)',
      'alter table weir.jobs add more text',
      'alter table weir.jobs no force row level security',
      'alter function app.set_tenant(uuid) reset all',
    ]
    let before = await withClient(db.adminUrl, dumpSchema)
    for (const change of changes) {
      await db.admin(change)
      const next = await withClient(db.adminUrl, dumpSchema)
      assert.notEqual(next, before, change)
      before = next
    }
  })
})
