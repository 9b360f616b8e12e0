import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { cloneDatabase, type TestDatabase } from '../../../test/support/database.ts'
import { releaseLease, renewLease, takeLease } from './leases.ts'
import { asRole } from './single-statements.ts'
import type { Tx } from './statement.ts'

let db: TestDatabase
let tx: Tx

before(async () => {
  db = await cloneDatabase()
  tx = asRole(db.pool('weir_dispatcher'))
})
after(() => db.drop())

const expire = (name: string) =>
  db.admin(`update leases set expires_at = now() - interval '1 ms' where name = $1`, [name])

describe('a lease', () => {
  it('has one holder at a time, out of many that ask at once', async () => {
    const asked = ['a', 'b', 'c', 'd', 'e'].map((holder) => takeLease(tx, 'many', holder, 60_000))
    const taken = (await Promise.all(asked)).filter((lease) => lease !== undefined)
    assert.equal(taken.length, 1)
  })

  it('passes on after its end with a higher fencing number, and the old holder notices', async () => {
    const first = await takeLease(tx, 'pass', 'a', 60_000)
    assert.ok(first !== undefined)
    assert.equal(await takeLease(tx, 'pass', 'b', 60_000), undefined)
    await expire('pass')
    const second = await takeLease(tx, 'pass', 'b', 60_000)
    assert.ok(second !== undefined && second.fencing > first.fencing)
    assert.equal(await renewLease(tx, first, 60_000), false)
    assert.equal(await renewLease(tx, second, 60_000), true)
  })

  it('may be renewed after its end while nobody took it', async () => {
    const lease = await takeLease(tx, 'late', 'a', 60_000)
    assert.ok(lease !== undefined)
    await expire('late')
    assert.equal(await renewLease(tx, lease, 60_000), true)
    assert.equal(await takeLease(tx, 'late', 'b', 60_000), undefined)
  })

  it('is free at once when given back, but not by an old holder', async () => {
    const first = await takeLease(tx, 'back', 'a', 60_000)
    assert.ok(first !== undefined)
    await releaseLease(tx, first)
    const second = await takeLease(tx, 'back', 'b', 60_000)
    assert.ok(second !== undefined)
    await releaseLease(tx, first)
    assert.equal(await takeLease(tx, 'back', 'c', 60_000), undefined)
  })
})
