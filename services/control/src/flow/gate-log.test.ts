import assert from 'node:assert/strict'
import test from 'node:test'
import { GATE_BEAT_KEY, type GateRecord, gateKey, isUuid } from '@weir/contracts'
import type { NewEntry } from '../audit/entry.ts'
import { createGateLog } from './gate-log.ts'

const START = 1_767_225_600_000
const beat = { v: 1, beat: true, leader: 1 } as const

const gate = (more: Partial<GateRecord> = {}): GateRecord => ({
  v: 1,
  stage: 'a@1',
  lane: 'normal',
  state: 'open',
  inFlightLimit: 64,
  lag: 0,
  lagMs: 0,
  oldestAgeMs: 0,
  drainRate: 0,
  reason: '',
  since: START,
  leader: 1,
  seq: 1,
  ...more,
})

/** A log that is read as by one instance; its clock is that of the brokers. */
function read() {
  const entries: NewEntry[] = []
  let nowMs = 0
  const log = createGateLog(
    (entry) => entries.push(entry),
    () => nowMs,
  )
  return {
    entries,
    told: () => entries.map(({ action, detail }) => [action, JSON.parse(detail ?? '{}')]),
    gate(ms: number, more: Partial<GateRecord> | null, isNew = true) {
      nowMs = ms
      log.take(gateKey('a@1', 'normal'), more && gate(more), START + ms, isNew)
    },
    beat(ms: number, isNew = true) {
      nowMs = ms
      log.take(GATE_BEAT_KEY, beat, START + ms, isNew)
    },
    look: (ms: number) => log.look(ms),
  }
}

const time = (ms: number) => new Date(START + ms).toISOString()
const of = { stage: 'a@1', lane: 'normal' }

test('a change of state or of its reason is told, and a new level is not', () => {
  const log = read()
  log.gate(0, {})
  log.gate(500, { lag: 7, seq: 2 })
  log.gate(1_000, { state: 'closed', reason: 'deactivated', since: START + 990 })
  log.gate(1_500, { state: 'closed', reason: 'terminating', since: START + 1_400 })
  log.gate(2_000, null)
  assert.deepEqual(log.told(), [
    ['gate.changed', { ...of, from: null, to: 'open', reason: '' }],
    ['gate.changed', { ...of, from: 'open', to: 'closed', reason: 'deactivated' }],
    ['gate.changed', { ...of, from: 'closed', to: 'closed', reason: 'terminating' }],
    ['gate.changed', { ...of, from: 'closed', to: 'gone', reason: '' }],
  ])
  assert.equal(log.entries[1]?.at?.getTime(), START + 990)
  for (const { id } of log.entries) assert.ok(isUuid(id), id)
  const ids = log.entries.map(({ id }) => id)
  assert.deepEqual(ids, ids.toSorted())
})

test('another instance, and one that starts later, tell the same under the same ids', () => {
  const [one, other, late] = [read(), read(), read()]
  for (const log of [one, other]) {
    log.gate(0, {})
    log.gate(1_000, { state: 'closed', reason: 'deactivated', since: START + 990 })
  }
  late.gate(1_000, { state: 'closed', reason: 'deactivated', since: START + 990 }, false)
  const ids = (log: ReturnType<typeof read>) => log.entries.map(({ id }) => id)
  assert.deepEqual(ids(other), ids(one))
  assert.deepEqual(ids(late), ids(one).slice(1))
})

test('silence is told when it is sure, or when it is over, under the same id either way', () => {
  const [watching, waking] = [read(), read()]
  for (const log of [watching, waking]) {
    log.gate(0, {})
    log.beat(1_000)
  }
  watching.look(5_900)
  assert.equal(watching.entries.length, 1)
  watching.look(6_100)
  watching.look(7_100)
  for (const log of [watching, waking]) log.beat(9_000)
  assert.deepEqual(watching.told().slice(1), [
    ['gates.unknown', { since: time(3_000) }],
    ['gates.known', { since: time(9_000) }],
  ])
  assert.deepEqual(
    waking.entries.map(({ id }) => id),
    watching.entries.map(({ id }) => id),
  )
})

test('gaps in the log before the start say nothing', () => {
  const log = read()
  log.gate(0, {}, false)
  log.beat(60_000, false)
  log.beat(61_000)
  assert.deepEqual(
    log.entries.map(({ action }) => action),
    ['gate.changed'],
  )
})
