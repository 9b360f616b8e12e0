import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { withClient } from '@weir/postgres'
import { createClient } from '../support/api-client.ts'
import { findMissingPgBouncer, type PgBouncer, startPgBouncer } from '../support/pgbouncer.ts'
import { startSecureSystem } from '../support/secure-system.ts'

const JOBS = 40
const stops: (() => Promise<void>)[] = []
after(async () => {
  for (const stop of stops.reverse()) await stop()
})

test('jobs run to their end with every service behind a PgBouncer in transaction mode', async (t) => {
  const missing = findMissingPgBouncer()
  if (missing !== undefined) {
    process.stderr.write(`test: nothing is run through a PgBouncer: ${missing}\n`)
    return t.skip(missing)
  }
  let pooler: PgBouncer | undefined
  const system = await startSecureSystem({
    stages: ['normalise', 'mean'],
    edges: ['normalise@1:mean@1', 'mean@1:'],
    databasePort: async ({ home, authority, postgres, logins }) => {
      pooler = await startPgBouncer({ home, authority, serverPort: postgres.port, logins })
      stops.push(pooler.stop)
      return pooler.port
    },
  })
  stops.push(system.stop)
  const { adminKey } = await system.operator.call<{ adminKey: string }>('POST', '/v1/tenants', {
    body: { name: 'acme' },
  })
  const acme = createClient(system.api, adminKey)
  await acme.publish('hello', {
    steps: {
      normalise: { stage: 'normalise@1' },
      mean: { stage: 'mean@1', after: ['normalise'] },
    },
  })
  const inputs = Array.from({ length: JOBS }, () => ({ values: [1, 2, 3, 4, 5] }))
  const ended = await acme.allEnded(await acme.submitBatch('hello', inputs), 120_000)
  assert.deepEqual(new Set(ended.map(({ status }) => status)), new Set(['completed']))

  const { rows } = await withClient(
    system.postgres.adminUrl,
    (client) =>
      client.query(
        `select usename, count(*)::integer as connections, bool_and(ssl) as ssl
          from pg_stat_activity join pg_stat_ssl using (pid)
          where datname = 'weir' group by usename order by usename`,
      ),
    { tls: { rejectUnauthorized: true, ca: system.authority.ca } },
  )
  assert.ok(rows.length >= 3)
  // Control alone would have up to ten of its own.
  for (const { usename, connections, ssl } of rows) {
    assert.ok(connections <= 3, `${usename} has ${connections} connections`)
    assert.equal(ssl, true)
  }
})
