import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { newUuid } from '@weir/contracts'
import { cloneDatabase, type TestDatabase } from '../../../test/support/database.ts'
import type { Pool } from './pool.ts'
import { asTenant } from './single-statements.ts'
import type { Statement, Tx } from './statement.ts'
import {
  batchQuery,
  query,
  tenantBatch,
  tenantQuery,
  withTenant,
  withTransaction,
} from './transaction.ts'

let db: TestDatabase
let pool: Pool
const one = newUuid()
const two = newUuid()
const current: Statement = { text: `select current_setting('app.tenant_id', true) as tenant` }
const visible: Statement = { text: 'select tenant_id as tenant from tenants' }
const addPipeline = (tenant: string, name: string): Statement => ({
  text: 'insert into pipelines (tenant_id, name, current_version) values ($1, $2, 1)',
  values: [tenant, name],
})
const pipelines = () => db.admin<{ name: string }>('select name from pipelines')
const names = async () => (await pipelines()).map((row) => row.name)

before(async () => {
  db = await cloneDatabase()
  await db.addTenant(one, 'one')
  await db.addTenant(two, 'two')
  // One connection: whatever is left on it, the next borrower meets.
  pool = db.pool('weir_control', 1)
})
after(() => db.drop())

describe('a transaction of a tenant', () => {
  it('sees that tenant and leaves nothing behind', async () => {
    const seen = await withTenant(pool, one, async (tx) => [
      await tx.query(current),
      await tx.query(visible),
    ])
    assert.deepEqual(seen, [[{ tenant: one }], [{ tenant: one }]])
    assert.deepEqual(await query(pool, visible), [])
    assert.deepEqual(await tenantQuery(pool, two, visible), [{ tenant: two }])
  })

  it('sees just as much in one round trip, and nothing after it', async () => {
    const seen = await tenantBatch(pool, one, (tx) =>
      Promise.all([tx.query(current), tx.query(visible)]),
    )
    assert.deepEqual(seen, [[{ tenant: one }], [{ tenant: one }]])
    assert.deepEqual(await query(pool, visible), [])
    const tooLate = tenantBatch(pool, one, async (tx) => {
      await tx.query(current)
      return tx.query(visible)
    })
    await assert.rejects(tooLate, /the transaction is over/)
    const failed = tenantBatch(pool, one, async (tx) => {
      void tx.query({ text: 'select 1 / 0' })
      return 'done'
    })
    await assert.rejects(failed, /rolled back/)
    assert.deepEqual(await tenantQuery(pool, two, visible), [{ tenant: two }])
  })

  it('is undone when its work throws, and the connection goes on', async () => {
    await assert.rejects(
      withTenant(pool, one, async (tx) => {
        await tx.execute(addPipeline(one, 'thrown'))
        throw new Error('mine')
      }),
      /^Error: mine$/,
    )
    assert.deepEqual(await names(), [])
    assert.deepEqual(await tenantQuery(pool, two, visible), [{ tenant: two }])
  })

  it('is not reported as done after a failure that nobody looked at', async () => {
    await assert.rejects(
      withTenant(pool, one, async (tx) => {
        await tx.execute(addPipeline(one, 'lost'))
        void tx.query({ text: 'select 1 / 0' })
      }),
      (error: Error) =>
        /rolled back/.test(error.message) &&
        /division by zero/.test((error.cause as Error).message),
    )
    assert.deepEqual(await names(), [])
  })

  it('answers a single statement with its own error, and writes nothing', async () => {
    await assert.rejects(
      tenantQuery(pool, one, { text: 'insert into pipelines select $1, 1 / 0', values: [one] }),
    )
    await assert.rejects(tenantQuery(pool, one, addPipeline(two, 'theirs')), { code: '42501' })
    assert.deepEqual(await names(), [])
    assert.deepEqual(await tenantQuery(pool, one, visible), [{ tenant: one }])
  })

  it('refuses more than one statement in one', async () => {
    await assert.rejects(
      withTenant(pool, one, (tx) =>
        tx.query({ text: `set local app.tenant_id = '${two}'; select * from tenants` }),
      ),
      { code: '42601' },
    )
  })

  it('refuses what is no UUID before it takes a connection', async () => {
    await assert.rejects(
      withTenant(pool, "' or true --", () => Promise.resolve()),
      /no UUID/,
    )
    await assert.rejects(tenantQuery(pool, '', visible), /no UUID/)
  })

  it('takes no statement after its end', async () => {
    let kept: Tx | undefined
    await withTenant(pool, one, async (tx) => {
      kept = tx
      await tx.query(visible)
    })
    assert.ok(kept !== undefined)
    await assert.rejects(kept.query(visible), /the transaction is over/)
  })

  it('destroys a connection that would come back inside a transaction', async () => {
    const client = await pool.connect()
    const send = client.query.bind(client)
    // As if the rollback got lost.
    client.query = ((config: { text: string }) =>
      config.text === 'rollback' ? Promise.reject(new Error('lost')) : send(config)) as typeof send
    client.release()
    await assert.rejects(
      withTenant(pool, one, async (tx) => {
        await tx.query(visible)
        throw new Error('left open')
      }),
      /left open/,
    )
    assert.equal(pool.totalCount, 0)
    assert.deepEqual(await query(pool, visible), [])
  })

  it('gives the connection back when the server cancels a statement', async () => {
    const slow = db.pool('weir_control', 1)
    const key = newUuid()
    await withTransaction(slow, (tx) => tx.query({ text: 'set local statement_timeout = 50' }))
    await assert.rejects(
      withTenant(slow, one, async (tx) => {
        await tx.execute(addPipeline(one, key))
        await tx.query({ text: 'set local statement_timeout = 50' })
        await tx.query({ text: 'select count(*) from generate_series(1, 1000000000)' })
      }),
      { code: '57014' },
    )
    assert.ok(!(await names()).includes(key))
    assert.deepEqual(await tenantQuery(slow, two, visible), [{ tenant: two }])
  })

  it('fails when its connection breaks between two statements, and the process goes on', async () => {
    await assert.rejects(
      withTenant(pool, one, async (tx) => {
        await tx.execute(addPipeline(one, 'cut'))
        const [own] = await tx.query<{ pid: number }>({ text: 'select pg_backend_pid() as pid' })
        await db.admin('select pg_terminate_backend($1)', [own?.pid])
        await tx.query(visible)
      }),
    )
    assert.ok(!(await names()).includes('cut'))
    assert.deepEqual(await tenantQuery(pool, two, visible), [{ tenant: two }])
  })

  it('sends begin, tenant and the first statement without waiting in between', async () => {
    const client = await pool.connect()
    const sent: string[] = []
    const send = client.query.bind(client)
    client.query = ((config: { text: string }) => {
      sent.push(config.text)
      return send(config)
    }) as typeof client.query
    client.release()
    let atFirst = 0
    await withTenant(pool, one, async (tx) => {
      const reply = tx.query(visible)
      atFirst = sent.length
      await reply
    })
    assert.equal(atFirst, 3)
    assert.equal(sent.at(-1), 'commit')
  })
})

describe('a batch', () => {
  it('is committed as a whole or not at all', async () => {
    const owner = db.pool('weir_dispatcher', 1)
    const set = (value: number): Statement => ({
      text: 'update dispatch_clock set virtual_time = $1 returning virtual_time',
      values: [value],
    })
    assert.deepEqual(await batchQuery(owner, [set(3), set(4)]), [
      [{ virtual_time: 3 }],
      [{ virtual_time: 4 }],
    ])
    await assert.rejects(batchQuery(owner, [set(5), { text: 'select 1 / 0' }, set(6)]), {
      code: '22012',
    })
    assert.deepEqual(await db.admin('select virtual_time from dispatch_clock'), [
      { virtual_time: 4 },
    ])
  })
})

describe('tenants side by side', () => {
  it('never meet on a shared connection, whatever is aborted', async () => {
    const shared = db.pool('weir_control', 2)
    const calls = Array.from({ length: 400 }, async (_, index) => {
      const tenant = index % 2 === 0 ? one : two
      if (index % 7 === 0) {
        await assert.rejects(
          withTenant(shared, tenant, async (tx) => {
            await tx.query(visible)
            throw new Error('aborted')
          }),
        )
        return
      }
      const rows =
        index % 3 === 0
          ? await withTenant(shared, tenant, (tx) => tx.query(visible))
          : await asTenant(shared, tenant).query(visible)
      assert.deepEqual(rows, [{ tenant }])
    })
    await Promise.all(calls)
  })
})
