import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { checks } from './checks.ts'
import { rowsOf } from './seed.ts'
import { makeWorld, type World } from './world.ts'

let world: World
let wide: World

before(async () => {
  world = await makeWorld()
  wide = await makeWorld({ wide: true })
})
after(async () => {
  await world.db.drop()
  await wide.db.drop()
})

describe('isolation of tenants in the database', () => {
  it('is tried on every table that holds tenants’ rows', () => {
    assert.deepEqual([...world.tables].sort(), Object.keys(rowsOf(world.a, 'a')).sort())
  })

  for (const check of checks) {
    it(`${check.number}: ${check.sentence}`, () => check.run(check.wide ? wide : world))
  }
})
