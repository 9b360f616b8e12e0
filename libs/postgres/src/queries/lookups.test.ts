import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { cloneDatabase, type TestDatabase } from '../../../../test/support/database.ts'

/** Looked up row by row, in bulk, by plans that may have been made while they were empty. */
const hotTables = ['jobs', 'job_queue', 'in_flight', 'job_log', 'payloads']
let db: TestDatabase

before(async () => {
  db = await cloneDatabase()
})
after(() => db.drop())

describe('the rows of a job', () => {
  it('can be found by their tenant through the primary key alone', async () => {
    const rivals = await db.admin(
      `select c.relname as table, x.relname as index
        from pg_index i
        join pg_class c on c.oid = i.indrelid
        join pg_class x on x.oid = i.indexrelid
        join pg_attribute a on a.attrelid = c.oid and a.attnum = i.indkey[0]
        where c.relnamespace = 'weir'::regnamespace and c.relname = any ($1::text[])
          and a.attname = 'tenant_id' and not i.indisprimary and i.indpred is null`,
      [hotTables],
    )
    assert.deepEqual(rivals, [])
  })
})
