import assert from 'node:assert/strict'
import test from 'node:test'
import { createInstances } from './instances.ts'

const record = (change: object = {}) =>
  Buffer.from(
    JSON.stringify({ v: 1, instance: 'i', stage: 'locate@1', state: 'active', ...change }),
  )

test('an instance is live for 30 s after its latest record', () => {
  let nowMs = 100_000
  const instances = createInstances(() => nowMs)
  instances.take('i', record(), 100_000)
  nowMs = 129_999
  assert.equal(instances.liveOf('locate@1').length, 1)
  assert.equal(instances.liveOf('mean@1').length, 0)
  nowMs = 130_000
  assert.equal(instances.liveOf('locate@1').length, 0)
})

test('the contracts of the first record are remembered for the later ones', () => {
  const instances = createInstances(() => 0)
  const contracts = { hash: 'h', input: {}, output: {} }
  instances.take('i', record({ contracts }), 1)
  assert.equal(instances.take('i', record(), 2)?.contracts?.hash, 'h')
})

test('a tombstone, a terminated instance and what is no record are no live instances', () => {
  const instances = createInstances(() => 0)
  instances.take('i', record(), 1)
  assert.equal(instances.take('i', null, 2), undefined)
  assert.equal(instances.liveOf('locate@1').length, 0)
  instances.take('i', record({ state: 'terminated' }), 3)
  assert.equal(instances.liveOf('locate@1').length, 0)
  for (const value of ['x', 'null', '{"v":2}', '{"v":1,"instance":"another"}']) {
    assert.equal(instances.take('i', Buffer.from(value), 4), undefined)
  }
})
