import assert from 'node:assert/strict'
import { test } from 'node:test'
import { DISPATCHER_KEY, type InstanceRecord } from '@weir/contracts'
import type { KafkaRecord } from '@weir/kafka'
import { createRegistryView } from './registry-view.ts'

const record = (key: string, value: object | null) =>
  ({
    key: Buffer.from(key),
    value: value === null ? null : Buffer.from(JSON.stringify({ v: 1, ...value })),
  }) as unknown as KafkaRecord
const instance = (id: string, more: Partial<InstanceRecord> = {}) =>
  record(id, { instance: id, stage: 'a@1', concurrency: 16, partitions: [['in', 0]], ...more })

test('the instances that were heard of lately work together', () => {
  const view = createRegistryView()
  view.read([instance('x'), instance('y', { concurrency: 4 })], true, 0)
  view.read([instance('z', { stage: 'b@1' })], true, 0)
  view.read([instance('y', { concurrency: 4 })], true, 10_000)
  assert.deepEqual(
    [view.crewOf('a@1', 12_000).instances, view.crewOf('a@1', 12_000).concurrency],
    [2, 20],
  )
  // One is silent for longer than three of its beats.
  assert.equal(view.crewOf('a@1', 15_001).concurrency, 4)
  view.read([record('y', null)], true, 15_002)
  assert.equal(view.crewOf('a@1', 15_002).instances, 0)
})

test('partitions have moved when an instance comes, goes, or has others than before', () => {
  const view = createRegistryView()
  view.read([instance('x')], false, 0)
  assert.equal(view.crewOf('a@1', 0).movedAtMs, Number.NEGATIVE_INFINITY, 'it was there before')
  view.read([instance('x')], true, 1_000)
  assert.equal(view.crewOf('a@1', 1_000).movedAtMs, Number.NEGATIVE_INFINITY, 'only a beat')
  view.read([instance('x', { partitions: [] })], true, 2_000)
  assert.equal(view.crewOf('a@1', 2_000).movedAtMs, 2_000)
  view.read([instance('y')], true, 20_000)
  assert.equal(view.crewOf('a@1', 20_000).movedAtMs, 20_000)
  view.read([record('y', null)], true, 40_000)
  assert.equal(view.crewOf('a@1', 40_000).movedAtMs, 40_000)
  assert.equal(view.crewOf('b@1', 40_000).movedAtMs, Number.NEGATIVE_INFINITY)
  // One that starts over and over is one move, and then another.
  for (const atMs of [45_000, 50_000, 54_998]) view.read([instance(`y${atMs}`)], true, atMs)
  assert.equal(view.crewOf('a@1', 55_000).movedAtMs, 40_000)
})

test('the slots are those of the dispatcher that leads, while it is heard', () => {
  const view = createRegistryView()
  const tell = (fencing: number, held: number) =>
    view.read([record(DISPATCHER_KEY, { fencing, held: { 'a@1': held } })], true, 0)
  assert.equal(view.crewOf('a@1', 0).held, undefined)
  tell(3, 7)
  tell(2, 99)
  assert.equal(view.crewOf('a@1', 0).held, 7)
  assert.equal(view.crewOf('b@1', 0).held, 0)
  assert.equal(view.crewOf('a@1', 15_001).held, undefined)
})

test('what nobody can read is passed over', () => {
  const view = createRegistryView()
  const broken = { key: Buffer.from('x'), value: Buffer.from('{') } as unknown as KafkaRecord
  view.read([broken, instance('y')], true, 0)
  assert.equal(view.crewOf('a@1', 0).instances, 1)
})
