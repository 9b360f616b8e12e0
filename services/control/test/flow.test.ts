import assert from 'node:assert/strict'
import test, { after, before } from 'node:test'
import { GATE_BEAT_KEY, type GateRecord } from '@weir/contracts'
import {
  addKey,
  addTenant,
  createWithPipeline,
  type Installation,
  type Instance,
  oneStep,
  publish,
  type Tenant,
  until,
} from './support.ts'

let installation: Installation
let api: Instance
let acme: Tenant
let rival: Tenant

before(async () => {
  ;({ installation, api, acme } = await createWithPipeline('adds'))
  rival = await addTenant(installation, api)
  await publish(api, rival, 'adds', oneStep)
})
after(() => installation.stop())

/** What a watchdog would write. */
const tell = async (key: string, record: object) => {
  const { producer, topics } = api.control
  const value = JSON.stringify({ v: 1, ...record })
  await producer.send([{ topic: topics.gates, partition: 0, key, value }])
}
const gate = (more: Partial<GateRecord> = {}) => ({
  stage: 'a@1',
  lane: 'normal',
  state: 'open',
  inFlightLimit: 64,
  lag: 12,
  lagMs: 1_200,
  oldestAgeMs: 900,
  drainRate: 10,
  reason: '',
  since: 1_767_225_600_000,
  leader: 5,
  seq: 1,
  ...more,
})
const publishGate = (more: Partial<GateRecord> = {}) => {
  const record = gate(more)
  return tell(`${record.stage}/${record.lane}`, record)
}
const flow = async (key: string) => (await api.call('GET', '/v1/flow', { key })).body
/** Writes until it is shown: what is written is believed for two seconds only. */
const shown = (state: string, write: () => Promise<unknown>) =>
  until(async () => {
    await write()
    const now = await flow(installation.operator)
    return now.stages[0]?.state === state && now
  }, `a gate that is ${state}`)

test('the flow has every member of the contract, and an operator sees the load', async () => {
  const { at, stages, bottleneck, queue } = await shown('open', publishGate)
  assert.ok(Math.abs(Date.parse(at) - Date.now()) < 60_000)
  const { v: _, leader: __, ...record } = { v: 1, ...gate() }
  assert.deepEqual(stages, [
    { ...record, inFlight: null, reason: null, since: '2026-01-01T00:00:00.000Z' },
  ])
  assert.deepEqual(bottleneck, { stage: 'a@1', why: '12 records wait, 1.2 s of work at 10.0/s' })
  // No dispatcher has told of the queue of all.
  assert.deepEqual(queue, { queued: null, oldestAgeMs: null })
})

test('a gate that nobody confirms is unknown, a beat confirms all, an older leader none', async () => {
  const [stale] = (await shown('unknown', async () => {})).stages
  assert.deepEqual([stale.lag, stale.drainRate, stale.reason], [null, null, 'not_measured'])
  await tell(GATE_BEAT_KEY, { beat: true, leader: 4 })
  await publishGate({ leader: 4, lag: 99 })
  const beat = () => tell(GATE_BEAT_KEY, { beat: true, leader: 5 })
  assert.equal((await shown('open', beat)).stages[0].lag, 12)
})

test('what a dispatcher told last counts, and not what an earlier holder of the lease says', async () => {
  const { producer, topics } = api.control
  const say = (fencing: number, held: number) =>
    producer.send([
      {
        topic: topics.registry,
        partition: 0,
        key: 'dispatcher',
        value: JSON.stringify({
          v: 1,
          fencing,
          held: { 'a@1': held },
          queue: { queued: 7, oldestAgeMs: 300 },
        }),
      },
    ])
  await say(3, 64)
  await say(2, 1)
  const told = await until(async () => {
    await publishGate({ seq: 2, lag: 0, lagMs: 0 })
    const now = await flow(installation.operator)
    return now.stages[0].inFlight === 64 && now.stages[0].lag === 0 && now
  }, 'the figures')
  assert.deepEqual(told.queue, { queued: 7, oldestAgeMs: 300 })
  assert.deepEqual(told.bottleneck, {
    stage: 'a@1',
    why: 'its limit of 64 in flight is used up',
  })
})

test('a tenant sees gates and its own queue; neither figures of the load nor another’s queue', async () => {
  const viewer = await addKey(api, acme, { name: 'v', role: 'viewer' })
  for (let one = 0; one < 3; one++) {
    const path = '/v1/pipelines/adds/jobs'
    const { status } = await api.call('POST', path, { key: acme.key, body: { input: one } })
    assert.equal(status, 202)
  }
  await shown('closed', () =>
    publishGate({ state: 'closed', inFlightLimit: 0, reason: 'deactivated', seq: 3 }),
  )
  const own = await flow(viewer)
  assert.equal(own.queue.queued, 3)
  assert.ok(own.queue.oldestAgeMs >= 0)
  const { lag, lagMs, oldestAgeMs, drainRate, inFlight, ...rest } = own.stages[0]
  assert.deepEqual([lag, lagMs, oldestAgeMs, drainRate, inFlight], [null, null, null, null, null])
  assert.deepEqual(rest, {
    stage: 'a@1',
    lane: 'normal',
    state: 'closed',
    inFlightLimit: 0,
    reason: 'deactivated',
    since: '2026-01-01T00:00:00.000Z',
    seq: 3,
  })
  assert.deepEqual(own.bottleneck, { stage: 'a@1', why: 'its gate is closed (deactivated)' })
  const theirs = await flow(rival.key)
  assert.deepEqual(theirs.queue, { queued: 0, oldestAgeMs: 0 })
  assert.equal(theirs.bottleneck, null)
  // An operator who acts inside a tenant sees that tenant's queue.
  const inside = await api.call('GET', '/v1/flow', {
    key: installation.operator,
    headers: { 'x-weir-tenant': acme.id, 'x-weir-reason': 'looking' },
  })
  assert.equal(inside.body.queue.queued, 3)
  assert.equal(inside.body.stages[0].lag, 12)
})

test('figures of a stage that is not there are 404, and no figures are no instances', async () => {
  const key = installation.operator
  assert.equal((await api.call('GET', '/v1/stages/b@1/telemetry', { key })).status, 404)
  const { body } = await api.call('GET', '/v1/stages/a@1/telemetry', { key })
  assert.deepEqual(
    [body.instances, body.processed, body.since, body.waitMs.p99],
    [0, 0, null, null],
  )
})

test('what is no gate is passed over', async () => {
  const { producer, topics } = api.control
  const values = ['', 'null', '[]', '{"v":1}', '{"v":2,"leader":9}', '{"v":1,"leader":"9"}']
  await producer.send(
    values.map((value) => ({ topic: topics.gates, partition: 0, key: 'b@1/normal', value })),
  )
  assert.equal((await shown('open', () => publishGate({ seq: 4 }))).stages.length, 1)
})

test('what becomes of a gate stands in the installation’s audit log, once for two instances', async () => {
  const other = await installation.start()
  const since = Date.now()
  await publishGate({ state: 'closed', reason: 'deactivated', since, seq: 90, leader: 90 })
  await publishGate({ state: 'open', reason: '', since: since + 5, seq: 91, leader: 90 })
  const entries = await until(async () => {
    const { body } = await api.call('GET', '/v1/audit?action=gate.changed&limit=500', {
      key: installation.operator,
    })
    const found = body.entries.filter(({ at }: { at: string }) => Date.parse(at) >= since)
    return found.length >= 2 && found
  }, 'both changes')
  await Promise.all([api, other].map(({ control }) => control.audit.settled()))
  assert.deepEqual(
    entries.map(({ object, at, detail }: { object: string; at: string; detail: object }) => ({
      object,
      at: Date.parse(at) - since,
      ...detail,
    })),
    [
      { from: 'closed', to: 'open', reason: '', at: 5 },
      { from: 'open', to: 'closed', reason: 'deactivated', at: 0 },
    ].map((one) => ({ object: 'gate:a@1/normal', stage: 'a@1', lane: 'normal', ...one })),
  )
})
