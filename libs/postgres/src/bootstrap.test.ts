import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { after, before, describe, it } from 'node:test'
import { cloneDatabase, type TestDatabase } from '../../../test/support/database.ts'
import { bootstrap, withDatabase } from './bootstrap.ts'
import { withClient } from './client.ts'
import { scramVerifier } from './roles.ts'

let db: TestDatabase
let server: string

before(async () => {
  // Makes the roles, as any first use does.
  db = await cloneDatabase()
  server = withDatabase(db.adminUrl, 'postgres')
})
after(() => db.drop())

describe('bootstrap', () => {
  it('makes a closed database once, however many do it at once and again', async () => {
    const database = `weir_test_${process.pid}_${randomBytes(4).toString('hex')}`
    const run = () => bootstrap({ adminUrl: server, database, passwords: {} })
    try {
      await Promise.all([run(), run(), run()])
      await run()
      const rights = await withClient(server, async (client) => {
        const reply = await client.query(
          `select has_database_privilege('weir_control', $1, 'connect') as connects,
            has_database_privilege('weir_control', $1, 'temporary') as temporary,
            has_database_privilege('weir_owner', $1, 'connect') as owner`,
          [database],
        )
        return reply.rows[0]
      })
      assert.deepEqual(rights, { connects: true, temporary: false, owner: true })
    } finally {
      await withClient(server, (client) => client.query(`drop database if exists ${database}`))
    }
  })

  it('refuses a name that is none', async () => {
    await assert.rejects(
      bootstrap({ adminUrl: server, database: 'weir; drop', passwords: {} }),
      /is no name for a database/,
    )
  })
})

describe('a SCRAM verifier', () => {
  it('is the one Postgres makes of the same password and salt', () => {
    // From RFC 7677, section 3: password "pencil".
    const salt = Buffer.from('W22ZaJ0SNY7soEsUEjb6gQ==', 'base64')
    assert.equal(
      scramVerifier('pencil', salt),
      'SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=',
    )
  })
})
