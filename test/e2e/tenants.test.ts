import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { type encodeEnvelope, HEADERS, newUuid, writeTicket } from '@weir/contracts'
import { createProducer, type KafkaRecord } from '@weir/kafka'
import { act, once } from '../support/act-step.ts'
import type { Client, Job } from '../support/api-client.ts'
import { readNoted } from '../support/noted.ts'
import { startOtlpSink } from '../support/otlp-sink.ts'
import { startSystem, type Tenant } from '../support/system.ts'
import { until } from '../support/until.ts'

const TENANTS = 10
const JOBS = 20

const sink = await startOtlpSink()
after(() => sink.close())
const system = await startSystem({
  stages: [{ name: 'act' }, { name: 'strict' }],
  env: { WEIR_OTLP_URL: sink.url },
})
after(() => system.stop())
const log = system.file('tenants.log')

/** The same names, keys and inputs for everyone; only the canary differs. */
const pipeline = {
  steps: {
    split: act('range', { config: { n: 2 } }),
    copy: act('echo', { config: { log } }),
    each: act('double', { after: [{ step: 'split', each: true }] }),
    all: act('sum', { after: [{ step: 'each', gather: true }] }),
    end: act('join', { after: ['copy', 'all'] }),
  },
}

type Owned = Tenant & {
  readonly canary: string
  readonly jobs: readonly Job[]
  readonly keyId: string
}

async function settle(number: number): Promise<Owned> {
  const tenant = await system.tenant('canary')
  const { client } = tenant
  const canary = `canary-${number}-${newUuid()}`
  await client.publish('same', pipeline)
  const { id: keyId } = await client.call<{ id: string }>('POST', '/v1/keys', {
    body: { name: 'same', role: 'viewer' },
  })
  const ids: string[] = []
  for (let n = 0; n < JOBS; n += 1) {
    const headers = { 'idempotency-key': `same-${n}` }
    const { id } = await client.submit('same', { canary, n }, { headers, correlationId: 'same' })
    ids.push(id)
  }
  return { ...tenant, canary, keyId, jobs: await client.allEnded(ids) }
}

const owners = await Promise.all(Array.from({ length: TENANTS }, (_, index) => settle(index)))
const [first, second] = owners as [Owned, Owned]

test('ten tenants with the same names and keys get ten independent sets of results', () => {
  for (const { canary, jobs } of owners) {
    assert.deepEqual(
      jobs.map(({ result }) => result),
      jobs.map((_, n) => ({ inputs: { all: 2, copy: { canary, n } }, missing: [] })),
    )
  }
  const ids = owners.flatMap(({ jobs }) => jobs.map(({ id }) => id))
  assert.equal(new Set(ids).size, TENANTS * JOBS)
})

test('lists, events and usage hold nothing of anyone else', async () => {
  for (const { client, id, jobs, canary } of owners) {
    const listed = await client.get<{ jobs: readonly Job[] }>(
      '/v1/jobs?correlationId=same&limit=500',
    )
    assert.deepEqual(listed.jobs.map((job) => job.id).sort(), jobs.map((job) => job.id).sort())
    const events = JSON.stringify(await client.events((jobs[0] as Job).id))
    assert.ok(events.includes(canary))
    for (const other of owners) if (other.id !== id) assert.ok(!events.includes(other.canary))
    const { keys } = await client.get<{ keys: readonly { name: string }[] }>('/v1/keys')
    assert.equal(keys.length, 2)
  }
})

/** Every call that names a thing of a tenant, with the path for an owner or for nobody. */
const calls: readonly {
  readonly method: string
  readonly path: (owner: Owned | undefined) => string
  readonly body?: unknown
}[] = [
  { method: 'GET', path: (owner) => `/v1/jobs/${owner?.jobs[0]?.id ?? newUuid()}` },
  {
    method: 'GET',
    path: (owner) => `/v1/jobs/${owner?.jobs[1]?.id ?? newUuid()}?include=outputs,input`,
  },
  { method: 'GET', path: (owner) => `/v1/jobs/${owner?.jobs[0]?.id ?? newUuid()}/events` },
  { method: 'DELETE', path: (owner) => `/v1/keys/${owner?.keyId ?? newUuid()}` },
]

test('what is another’s is answered like what does not exist, body and all', async () => {
  const answer = async (by: Client, call: (typeof calls)[number], owner: Owned | undefined) => {
    const { status, body } = await by.send(call.method, call.path(owner), { body: call.body })
    const { instance: _, ...rest } = body
    return { status, rest }
  }
  for (const call of calls) {
    for (const asker of owners) {
      const nothing = await answer(asker.client, call, undefined)
      assert.equal(nothing.status, 404)
      for (const owner of owners) {
        if (owner === asker) continue
        assert.deepEqual(await answer(asker.client, call, owner), nothing, call.path(owner))
      }
    }
  }
  for (const { client, keyId, jobs } of owners) {
    const { keys } = await client.get<{
      keys: readonly { id: string; revokedAt: string | null }[]
    }>('/v1/keys')
    assert.equal(keys.find(({ id }) => id === keyId)?.revokedAt, null)
    assert.equal((await client.job((jobs[0] as Job).id)).status, 'completed')
  }
})

test('pipelines, their versions and their submits are looked up among the tenant’s own', async () => {
  await first.client.publish('only-first', pipeline)
  const paths = [
    ['GET', '/v1/pipelines/only-first'],
    ['GET', '/v1/pipelines/only-first/versions'],
    ['GET', '/v1/pipelines/only-first/versions/1'],
    ['POST', '/v1/pipelines/only-first/pause'],
    ['DELETE', '/v1/pipelines/only-first'],
  ] as const
  for (const [method, path] of paths) {
    const foreign = await second.client.send(method, path)
    const nothing = await second.client.send(method, path.replace('only-first', 'no-such'))
    assert.deepEqual([foreign.status, foreign.body.code], [404, 'not_found'], path)
    assert.equal(foreign.body.detail, nothing.body.detail)
  }
  const submit = { body: { input: 1 } }
  const foreign = await second.client.send('POST', '/v1/pipelines/only-first/jobs', submit)
  assert.deepEqual([foreign.status, foreign.body.code], [404, 'not_found'])
  assert.equal((await first.client.run('only-first', { canary: 'x', n: 0 })).status, 'completed')
})

test('without a key, with a revoked one or a small role, nothing opens', async () => {
  const bare = await fetch(`${system.api}/v1/jobs`)
  assert.equal(bare.status, 401)
  const { key, id } = await first.client.call<{ key: string; id: string }>('POST', '/v1/keys', {
    body: { name: 'viewer', role: 'viewer' },
  })
  const headers = { authorization: `Bearer ${key}` }
  const asViewer = (method: string, path: string, body?: unknown) =>
    first.client.send(method, path, { headers, body })
  assert.equal((await asViewer('GET', '/v1/jobs')).status, 200)
  const refused = await asViewer('POST', '/v1/pipelines/same/jobs', { input: 1 })
  assert.deepEqual([refused.status, refused.body.code], [403, 'forbidden'])
  const { body: job } = await first.client.send<Job>(
    'GET',
    `/v1/jobs/${first.jobs[0]?.id}?include=outputs`,
    { headers },
  )
  assert.ok(!JSON.stringify(job).includes(first.canary), 'payloads are not for every viewer')
  await first.client.send('DELETE', `/v1/keys/${id}`)
  await until(
    'the key to be refused',
    async () => (await asViewer('GET', '/v1/jobs')).status === 401,
    35_000,
  )
  assert.equal((await first.client.send('GET', '/v1/tenants')).status, 403)
})

const input = system.topics.input('act@1', 'normal')

test('forged, foreign and unreadable records are put aside and run nothing; the next job works', async () => {
  const records = await system.read(input)
  const genuine = records.find(
    ({ headers }) =>
      headers[HEADERS.tenant] === first.id &&
      (JSON.parse(headers[HEADERS.meta] ?? '{}') as { step?: string }).step === 'copy',
  ) as KafkaRecord
  const value = JSON.stringify({ forged: true })
  const newJob = { [HEADERS.job]: newUuid(), [HEADERS.id]: 'A'.repeat(22) }
  const meta = JSON.parse(genuine.headers[HEADERS.meta] ?? '') as Parameters<
    typeof encodeEnvelope
  >[0]['meta']
  const claims = {
    tenant: second.id,
    job: newUuid(),
    run: 1,
    plan: meta.plan,
    notAfter: meta.notAfter,
  }
  const ownTicket = writeTicket(
    [{ id: 'k1', holder: 'act@1', secret: Buffer.alloc(32, 7) }],
    claims,
  )
  const forged: Readonly<Record<string, Record<string, string>>> = {
    'no headers': {},
    'no JSON in the meta': { ...genuine.headers, [HEADERS.meta]: '{' },
    'no ticket': { ...genuine.headers, [HEADERS.ticket]: '' },
    'another tenant': { ...genuine.headers, [HEADERS.tenant]: second.id },
    'another job': { ...genuine.headers, ...newJob },
    'another run': {
      ...genuine.headers,
      [HEADERS.meta]: JSON.stringify({ ...meta, run: 2 }),
      [HEADERS.id]: 'B'.repeat(22),
    },
    'a key of its own': {
      ...genuine.headers,
      [HEADERS.tenant]: claims.tenant,
      [HEADERS.job]: claims.job,
      [HEADERS.ticket]: ownTicket,
    },
    'an outcome that the stage did not write': {
      ...genuine.headers,
      ...newJob,
      [HEADERS.meta]: JSON.stringify({ ...meta, kind: 'outcome', gen: 99, mac: 'x'.repeat(16) }),
    },
  }
  const before = readNoted(log).length
  const producer = createProducer({ kafka: system.kafka })
  try {
    await producer.connect()
    await producer.send(
      Object.values(forged).map((headers) => ({ topic: input, key: genuine.key, value, headers })),
    )
  } finally {
    await producer.disconnect()
  }
  const letters = await until('the records to be put aside', async () => {
    const all = await system.read(system.topics.deadLetters)
    return all.length >= Object.keys(forged).length ? all : false
  })
  assert.equal(letters.length, Object.keys(forged).length)
  const reasons = letters.map(({ headers }) => headers['weir-reason']).sort()
  assert.deepEqual(reasons, [...Array(2).fill('malformed'), ...Array(6).fill('ticket_invalid')])
  for (const letter of letters) {
    assert.equal(letter.value?.toString(), value, 'bytes as received')
    assert.match(letter.headers['weir-origin'] ?? '', new RegExp(`^${input}/\\d+/\\d+$`))
  }
  assert.equal(readNoted(log).length, before, 'no handler has run')
  for (const { client, canary } of owners.slice(0, 3)) {
    const job = await client.run('same', { canary, n: 1 })
    assert.equal(job.status, 'completed')
  }
})

/** Pipelines that fail over their input, each in another part of the platform. */
const failing = {
  input_invalid: { stage: 'strict@1' },
  output_invalid: act('dated'),
  handler_error: act('parse', once),
}

test('a failure over a payload says what is wrong, and nothing of the payload', async () => {
  for (const [code, only] of Object.entries(failing)) {
    const name = code.replace('_', '-')
    await first.client.publish(name, { steps: { only } })
    const input = { n: first.canary, text: first.canary }
    const { id, error, traceId } = await first.client.run(name, input)
    assert.equal(error?.code, code)
    assert.ok(!JSON.stringify(error).includes(first.canary), JSON.stringify(error))
    const events = (await first.client.events(id)).map(({ data: { output: _, ...data } }) => data)
    assert.ok(!JSON.stringify(events).includes(first.canary), 'it stands in an event')
    await until('the span of the dead letter', () =>
      sink.trace(traceId ?? '').some(({ name }) => name === `send ${system.topics.deadLetters}`),
    )
  }
  await first.client.publish('checked', {
    input: { type: 'object', properties: { n: { type: 'integer' } } },
    steps: { only: act('echo') },
  })
  const path = '/v1/pipelines/checked/jobs'
  const refusals = [
    { body: { input: { n: first.canary } } },
    { text: { type: 'application/json', body: `{"input":"${first.canary}` } },
    { text: { type: 'text/plain', body: first.canary } },
    { body: { input: 1, [first.canary]: 1 } },
  ]
  const statuses: number[] = []
  for (const request of refusals)
    statuses.push((await first.client.send('POST', path, request)).status)
  assert.deepEqual(statuses, [422, 400, 415, 400])
  await until(
    'the spans of the refused requests',
    () =>
      sink.spans.filter(({ attributes }) =>
        statuses.includes(Number(attributes['http.response.status_code'])),
      ).length >= statuses.length,
  )
})

test('a canary is found in its own tenant’s records alone, and in no line, span or header of a dead letter', async () => {
  const { topics } = system
  const names = [input, topics.input('act@1', 'high'), topics.plans, topics.control, topics.changes]
  let seen = 0
  for (const topic of [...names, topics.registry]) {
    for (const { headers, value } of await system.read(topic)) {
      const text = `${JSON.stringify(headers)}${value?.toString() ?? ''}`
      for (const { id, canary } of owners) {
        if (!text.includes(canary)) continue
        seen += 1
        assert.equal(headers[HEADERS.tenant], id, `${topic} holds a foreign canary`)
      }
    }
  }
  assert.ok(seen > TENANTS * JOBS)
  for (const { value } of await system.read(topics.events)) {
    const { runs = [] } = JSON.parse(value?.toString() ?? '{}') as { runs?: { tenant: string }[] }
    for (const run of runs) {
      const text = JSON.stringify(run)
      for (const { id, canary } of owners) {
        if (text.includes(canary)) assert.equal(run.tenant, id, 'events of another tenant')
      }
    }
  }
  for (const { jobs } of owners) {
    for (const { traceId } of jobs) {
      await until('the last span of a job', () =>
        sink.trace(traceId ?? '').some(({ name }) => name === `process ${topics.events}`),
      )
    }
  }
  const letters = (await system.read(topics.deadLetters)).map(({ headers }) =>
    JSON.stringify(headers),
  )
  const failed = letters.filter((text) => Object.keys(failing).some((code) => text.includes(code)))
  assert.equal(failed.length, Object.keys(failing).length)
  for (const { canary } of owners) {
    assert.deepEqual(sink.find(canary), [], 'a canary stands in a span')
    const leaked = letters.filter((text) => text.includes(canary))
    assert.deepEqual(leaked, [], 'a canary stands in a header of a dead letter')
  }
  for (const process of ['control', 'ledger', 'dispatcher', 'act', 'strict']) {
    const lines = system.log(process)
    assert.ok(lines.length > 0)
    const leaked = lines.filter((line) =>
      owners.some(({ canary }) => JSON.stringify(line).includes(canary)),
    )
    assert.deepEqual(leaked, [])
  }
})
