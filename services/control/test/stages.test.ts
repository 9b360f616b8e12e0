import assert from 'node:assert/strict'
import test, { after, before } from 'node:test'
import { type InstanceRecord, parseTicketKey, type StageRecord, stageKey } from '@weir/contracts'
import { connectKafka, createAdmin, createReader, type Reader } from '@weir/kafka'
import {
  addTenant,
  createInstallation,
  type Installation,
  type Instance,
  until,
} from './support.ts'

let installation: Installation
let api: Instance
let reader: Reader
const records = new Map<string, StageRecord>()
const kafka = connectKafka({
  brokers: (process.env.WEIR_TEST_KAFKA ?? '').split(','),
  clientId: 'test',
})

before(async () => {
  installation = await createInstallation()
  api = await installation.start()
  reader = createReader({
    kafka,
    topics: [api.control.topics.control],
    from: 'earliest',
    onRecords: (_topic, _partition, batch) => {
      for (const { key, value } of batch) {
        if (value !== null) records.set(String(key), JSON.parse(value.toString()))
      }
    },
  })
})
after(async () => {
  await reader.stop()
  await installation.stop()
})

const put = (ref: string, body: object = {}) =>
  api.call('PUT', `/v1/stages/${ref}`, { key: installation.operator, body })
const post = (path: string) => api.call('POST', path, { key: installation.operator })
const recordOf = (ref: string) => records.get(stageKey(ref))

/** An instance that says hello. */
async function speak(stage: string, change: Partial<InstanceRecord> = {}): Promise<void> {
  const instance = change.instance ?? `${stage}-1`
  const record: InstanceRecord = {
    v: 1,
    instance,
    stage,
    version: '1.0.0',
    kind: 'transform',
    state: 'launched',
    startedAt: Date.now(),
    at: Date.now(),
    controlOffset: 0,
    partitions: [],
    contracts: { hash: 'h1', input: {}, output: {} },
    cleaning: [],
    counters: { processed: 0, failed: 0, retried: 0, dropped: 0, duplicatesSuppressed: 0, late: 0 },
    ...change,
  }
  const { producer, topics } = api.control
  const value = JSON.stringify(record)
  await producer.send([{ topic: topics.registry, partition: 0, key: instance, value }])
}

test('registering makes the topics, begins the group at 0, shows the key once, publishes the state', async () => {
  const answer = await put('locate@1', { partitions: 3, inFlightMax: 50, kind: 'enrich' })
  assert.equal(answer.status, 201, answer.text)
  assert.equal(parseTicketKey(answer.body.stageKey)?.holder, 'locate@1')
  const admin = createAdmin({ kafka })
  const { topics } = api.control
  const inputs = [topics.input('locate@1', 'high'), topics.input('locate@1', 'normal')]
  assert.deepEqual([...(await admin.partitionCounts(inputs)).values()], [3, 3])
  const partitions = inputs.flatMap((topic) => [0, 1, 2].map((partition) => ({ topic, partition })))
  const committed = await admin.fetchCommitted(topics.stageGroup('locate@1'), partitions)
  assert.deepEqual(
    committed.map(({ offset }) => offset),
    [0, 0, 0, 0, 0, 0],
  )
  await admin.disconnect()
  const record = await until(async () => recordOf('locate@1'), 'the stage’s record')
  assert.deepEqual(record, {
    v: 1,
    ref: 'locate@1',
    state: 'created',
    rowVersion: 1,
    lanes: ['high', 'normal'],
    inFlightMax: 50,
    targetDelayMs: 1_000,
    accepted: {},
    keyIds: ['k1'],
  })
  const again = await put('locate@1', { partitions: 3, inFlightMax: 50, kind: 'enrich' })
  assert.deepEqual([again.status, again.body.stageKey, again.body.rowVersion], [200, undefined, 1])
  const changed = await put('locate@1', { inFlightMax: 60 })
  assert.deepEqual([changed.status, changed.body.rowVersion, changed.body.kind], [200, 2, 'enrich'])
  assert.equal((await put('locate@1', { partitions: 4 })).status, 409)
})

test('a further key is another one, and the first goes on to be valid', async () => {
  const first = await put('keyed@1', { partitions: 1 })
  const second = await post('/v1/stages/keyed@1/key')
  assert.equal(second.status, 201)
  assert.notEqual(second.body.stageKey, first.body.stageKey)
  assert.equal(parseTicketKey(second.body.stageKey)?.id, 'k2')
  await until(async () => recordOf('keyed@1')?.keyIds.length === 2, 'both key ids')
})

test('the first instance of a stage launches it and, its contracts accepted, makes it active', async () => {
  await put('first@1', { partitions: 1 })
  await speak('first@1')
  const record = await until(
    async () => recordOf('first@1')?.state === 'active' && recordOf('first@1'),
    'the activation',
  )
  assert.deepEqual(record.accepted, { '1.0.0/h1': true })
  const stage = (await api.call('GET', '/v1/stages/first@1', { key: installation.operator })).body
  assert.deepEqual([stage.state, stage.kind, stage.instances.length], ['active', 'transform', 1])
  assert.equal(stage.contracts[0].accepted, true)
})

test('an instance that spoke before its stage was registered is heard afterwards', async () => {
  await speak('early@1')
  await put('early@1', { partitions: 1 })
  await until(async () => recordOf('early@1')?.state === 'active', 'the activation')
})

test('a stage without autoActivate waits for the operator', async () => {
  await put('manual@1', { partitions: 1, autoActivate: false })
  await speak('manual@1')
  await until(async () => recordOf('manual@1')?.state === 'launched', 'the launch')
  const path = '/v1/stages/manual@1'
  assert.equal((await post(`${path}/activate`)).body.state, 'active')
  const twice = await post(`${path}/activate`)
  assert.deepEqual(
    [twice.status, twice.body.code, twice.body.state, twice.body.allowed],
    [409, 'invalid_transition', 'active', ['deactivate', 'terminate']],
  )
  assert.equal((await post(`${path}/deactivate`)).body.state, 'deactivated')
  assert.equal((await post(`${path}/reactivate`)).body.state, 'active')
  assert.equal((await post(`${path}/terminate`)).body.state, 'terminating')
  await speak('manual@1', { state: 'terminated' })
  await until(async () => recordOf('manual@1')?.state === 'terminated', 'the end')
})

test('contracts that break an earlier version are refused with the reason, compatible ones accepted', async () => {
  const object = (required: string[]) => ({
    type: 'object',
    properties: { a: { type: 'string' }, b: { type: 'string' } },
    required,
  })
  await put('typed@1', { partitions: 1 })
  const first = { hash: 'one', input: object(['a']), output: object(['a']) }
  await speak('typed@1', { contracts: first })
  await until(async () => recordOf('typed@1')?.state === 'active', 'the activation')
  const wider = { hash: 'two', input: object([]), output: object(['a', 'b']) }
  await speak('typed@1', { instance: 'i2', version: '1.1.0', contracts: wider })
  const breaking = { hash: 'three', input: object(['a', 'b']), output: object(['a']) }
  await speak('typed@1', { instance: 'i3', version: '1.2.0', contracts: breaking })
  const other = { hash: 'four', input: {}, output: {} }
  await speak('typed@1', { instance: 'i4', version: '1.0.0', contracts: other })
  const accepted = await until(async () => {
    const verdicts = recordOf('typed@1')?.accepted ?? {}
    return Object.keys(verdicts).length === 4 && verdicts
  }, 'four verdicts')
  assert.deepEqual([accepted['1.0.0/one'], accepted['1.1.0/two']], [true, true])
  assert.match(String(accepted['1.2.0/three']), /breaks 1\.1\.0/)
  assert.match(String(accepted['1.0.0/four']), /other contracts/)
})

test('contracts that come with a registration are judged before any instance runs them', async () => {
  const contract = (version: string, hash: string, required: string[]) => ({
    version,
    hash,
    input: { type: 'object', properties: { a: { type: 'string' } }, required },
    output: {},
  })
  const first = await put('declared@1', { partitions: 1, contract: contract('1.0.0', 'one', []) })
  assert.equal(first.status, 201, first.text)
  assert.deepEqual(
    first.body.contracts.map((one: { version: string }) => one.version),
    ['1.0.0'],
  )
  const record = await until(
    async () => recordOf('declared@1')?.accepted['1.0.0/one'] === true && recordOf('declared@1'),
    'the verdict',
  )
  assert.equal(record.state, 'created')

  const breaking = { inFlightMax: 7, contract: contract('1.0.1', 'two', ['a']) }
  const refused = await put('declared@1', breaking)
  assert.deepEqual(
    [refused.status, refused.body.code, refused.body.stage, refused.body.version],
    [409, 'contract_incompatible', 'declared@1', '1.0.1'],
  )
  assert.match(refused.body.detail, /the input of 1\.0\.1 breaks 1\.0\.0: \/a was optional/)
  const other = await put('declared@1', { contract: contract('1.0.0', 'three', []) })
  assert.deepEqual([other.status, other.body.code], [409, 'contract_incompatible'])
  assert.match(other.body.detail, /other contracts already/)
  const path = '/v1/stages/declared@1'
  const stage = (await api.call('GET', path, { key: installation.operator })).body
  // What was refused has changed nothing, not even what came along with it.
  assert.deepEqual([stage.contracts.length, stage.inFlightMax], [1, first.body.inFlightMax])

  const wrong = await put('declared@1', { contract: contract('2.0.0', 'two', ['a']) })
  assert.deepEqual([wrong.status, wrong.body.errors[0].path], [400, '/contract/version'])
  const major = await put('declared@2', { contract: contract('2.0.0', 'two', ['a']) })
  assert.equal(major.status, 201)
})

test('a control that starts publishes all stages again, and two agree on one state', async () => {
  await put('again@1', { partitions: 1 })
  await until(async () => recordOf('again@1'), 'the record')
  records.clear()
  await installation.start()
  await until(async () => recordOf('again@1') && recordOf('first@1'), 'all records')
  assert.equal(recordOf('first@1')?.state, 'active')
  await speak('again@1')
  await until(async () => recordOf('again@1')?.state === 'active', 'the activation')
})

test('names that are none are refused, unknown stages are not found, tenants only read', async () => {
  for (const ref of ['locate', 'Locate@1', 'locate@0', 'locate@1x']) {
    assert.equal((await put(ref)).status, 400, ref)
  }
  assert.equal((await post('/v1/stages/nothing@1/key')).status, 404)
  assert.equal((await post('/v1/stages/nothing@1/activate')).status, 404)
  const tenant = await addTenant(installation, api)
  const body = { env: { SECRET: 'hidden-from-tenants' } }
  await put('first@1', body)
  const seen = await api.call('GET', '/v1/stages', { key: tenant.key })
  assert.equal(seen.status, 200)
  assert.doesNotMatch(seen.text, /hidden-from-tenants/)
  const tried = await api.call('PUT', '/v1/stages/mine@1', { key: tenant.key, body: {} })
  assert.equal(tried.status, 403)
})
