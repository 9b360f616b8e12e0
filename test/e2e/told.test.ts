import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { act } from '../support/act-step.ts'
import { createClient, type JobEvent } from '../support/api-client.ts'
import { followEvents } from '../support/event-stream.ts'
import { startSystem } from '../support/system.ts'
import { until } from '../support/until.ts'

const POLICIES = ['block', 'reject', 'drop-oldest'] as const
const QUEUE = 100

const system = await startSystem({
  stages: [
    { name: 'act' },
    ...POLICIES.map((policy) => ({ name: `talk-${policy}`, file: 'talk' })),
  ],
})
after(() => system.stop())
const { client } = await system.tenant('told')
const stranger = (await system.tenant('stranger')).client

type Artifact = {
  readonly seq: number
  readonly name: string
  readonly attempt: number
  readonly mediaType: string
  readonly bytes: number
  readonly kept: boolean
  readonly content: string
}
const artifactsOf = async (id: string) =>
  (await client.get<{ artifacts: Artifact[] }>(`/v1/jobs/${id}/artifacts`)).artifacts

async function download(path: string, key: string) {
  const response = await fetch(`${system.api}${path}`, {
    headers: { authorization: `Bearer ${key}` },
  })
  return { status: response.status, headers: response.headers, body: await response.bytes() }
}

/** What was said in a task, by number, in the order of the log; gaps give all numbers in them. */
function numbersOf(events: readonly JobEvent[], item?: string): number[] {
  return events
    .filter((event) => event.item === item)
    .flatMap(({ data }) => {
      const { event, artifact, lost } = data as {
        event?: { n: number }
        artifact?: { n: number }
        lost?: { from: number; to: number }
      }
      if (lost !== undefined) {
        return Array.from({ length: lost.to - lost.from + 1 }, (_, n) => lost.from + n)
      }
      const n = event?.n ?? artifact?.n
      return n === undefined ? [] : [n]
    })
}

const upTo = (n: number) => Array.from({ length: n }, (_, at) => at + 1)

function assertWhole(events: readonly JobEvent[]): void {
  assert.deepEqual(
    events.map(({ seq }) => seq),
    upTo(events.length),
  )
}

test('what a handler tells is streamed while it works, all of it and in its order', async () => {
  await client.publish('tells', { steps: { only: act('tell', { config: { n: 20, ms: 100 } }) } })
  const { id } = await client.submit('tells', 1)
  const events: JobEvent[] = []
  let wasRunning = false
  for await (const event of followEvents(client, id)) {
    events.push(event)
    if (event.type !== 'task.event' || wasRunning) continue
    wasRunning = (await client.job(id)).status === 'running'
  }
  assert.ok(wasRunning, 'heard of before the end')
  assertWhole(events)
  const said = events.filter(({ type }) => type === 'task.event')
  assert.deepEqual(
    said.map(({ step, attempt, stage, data }) => [step, attempt, stage, data.event]),
    upTo(20).map((n) => ['only', 1, 'act@1', { n, name: 'row.read', data: { row: n } }]),
  )
})

test('what handlers make is kept with the run: listed in order, found whole, of every attempt', async () => {
  const retry = { attempts: 2, baseMs: 1, maxMs: 1 }
  await client.publish('makes', { steps: { only: act('make', { retry }) } })
  const { id } = await client.run('makes', 'seven')
  const events = await client.events(id)
  assertWhole(events)
  const told = events.flatMap(({ type, attempt, data }) => {
    const { event, artifact } = data as { event?: { name: string }; artifact?: { name: string } }
    const name = event?.name ?? artifact?.name
    return name === undefined ? [] : [[attempt, type, name]]
  })
  const each = ['report.txt', 'raw.bin', 'rows.json'].map((name) => ['task.artifact', name])
  const expected = [['task.event', 'make.begun'], ...each, ['task.event', 'make.ended']]
  assert.deepEqual(
    told,
    [1, 2].flatMap((attempt) => expected.map((one) => [attempt, ...one])),
  )
  const artifacts = await artifactsOf(id)
  assert.deepEqual(
    artifacts.map(({ name, attempt, mediaType, kept }) => [name, attempt, mediaType, kept]),
    [1, 2].flatMap((attempt) => [
      ['report.txt', attempt, 'text/plain; charset=utf-8', true],
      ['raw.bin', attempt, 'image/x-raw', true],
      ['rows.json', attempt, 'application/json', true],
    ]),
  )
  const contents = [
    'attempt 1: grün',
    Buffer.from([0, 255, 10, 13]),
    '[{"a":1}]',
    'attempt 2: grün',
    Buffer.from([0, 255, 10, 13]),
    '[{"a":1}]',
  ].map((content) => Buffer.from(content as string))
  for (const [at, { content, mediaType, bytes }] of artifacts.entries()) {
    const { status, headers, body } = await download(content, client.key)
    assert.equal(status, 200)
    assert.deepEqual(Buffer.from(body), contents[at])
    assert.deepEqual([headers.get('content-type'), bytes], [mediaType, body.length])
    assert.match(headers.get('content-disposition') ?? '', /^attachment; filename\*=UTF-8''/)
    assert.match(headers.get('content-security-policy') ?? '', /sandbox/)
  }
})

test('artifacts and events of another tenant are not there; without the right to payloads there are no contents', async () => {
  const { id } = await client.run('makes', 'secret')
  const [first] = await artifactsOf(id)
  assert.ok(first !== undefined)
  const nowhere = '/v1/jobs/0192a000-0000-7000-8000-000000000000/artifacts'
  for (const path of ['', `/${first.seq}`]) {
    const [theirs, none] = await Promise.all([
      stranger.send('GET', `/v1/jobs/${id}/artifacts${path}`),
      stranger.send('GET', `${nowhere}${path}`),
    ])
    const { instance: _, ...body } = theirs.body
    const { instance: __, ...same } = none.body
    assert.deepEqual([theirs.status, body], [404, same])
  }
  const made = await client.call<{ key: string }>('POST', '/v1/keys', {
    body: { name: 'looks', role: 'viewer' },
  })
  const viewer = createClient(system.api, made.key)
  const listed = await viewer.get<{ artifacts: Artifact[] }>(`/v1/jobs/${id}/artifacts`)
  assert.equal(listed.artifacts.length, 6)
  assert.equal((await viewer.send('GET', first.content)).status, 403)
  const seen = JSON.stringify(await viewer.events(id))
  assert.match(seen, /make\.ended/)
  assert.doesNotMatch(seen, /secret/)
  assert.match(JSON.stringify(await client.events(id)), /secret/)
})

test('an artifact that cannot be kept fails the attempt, even where the handler does not wait for it', async () => {
  await client.publish('oversize', { steps: { only: act('oversize') } })
  const { status, error } = await client.run('oversize', 1)
  assert.deepEqual(
    [status, error?.code, error?.class],
    ['failed', 'artifact_too_large', 'permanent'],
  )
})

test('what was told before a process was killed is told once, and the log has no gap', async () => {
  await client.publish('killed', { steps: { only: act('tell', { config: { n: 60, ms: 50 } }) } })
  const { id } = await client.submit('killed', 1)
  await until('some of what it says', async () => {
    return numbersOf(await client.events(id)).length > 10
  })
  await system.kill('act')
  const [job] = await client.allEnded([id], 60_000)
  assert.equal(job?.status, 'completed')
  const events = await client.events(id)
  assertWhole(events)
  assert.deepEqual(numbersOf(events), upTo(60))
})

test('while the ledger stands still, what handlers tell waits in Kafka, and all of it comes through', async () => {
  const before = await client.run('tells', 0)
  assert.equal(before.status, 'completed')
  await client.publish('many', {
    steps: {
      split: act('range', { config: { n: 10 } }),
      each: act('tell', {
        config: { n: 100, hasty: true },
        after: [{ step: 'split', each: true }],
      }),
    },
  })
  const ledger = system.pid('ledger') as number
  process.kill(ledger, 'SIGSTOP')
  const { id } = await client.submit('many', 0).finally(() => undefined)
  try {
    await until('all of it to be in Kafka', async () => {
      const samples = await system.metrics('act')
      return (samples.get('weir_stage_events_delivered_total') ?? 0) >= 1_000
    })
  } finally {
    process.kill(ledger, 'SIGCONT')
  }
  const [job] = await client.allEnded([id], 60_000)
  assert.equal(job?.status, 'completed')
  const events = await client.events(id)
  assertWhole(events)
  for (let item = 0; item < 10; item += 1) {
    assert.deepEqual(numbersOf(events, String(item)), upTo(100))
  }
})

const ITEMS = 30
const SAID = 100

for (const policy of POLICIES) {
  test(`under ${policy} and through a time without Kafka the books are exact at every look, every task ends, and each gap says what is missing`, async () => {
    const name = `talk-${policy}`
    const stage = `${name}@1`
    await client.publish(name, {
      steps: {
        split: act('range', { stage, config: { n: ITEMS } }),
        each: act('tell', {
          stage,
          config: { n: SAID, ms: 20 },
          after: [{ step: 'split', each: true }],
        }),
        all: act('count', { stage, after: [{ step: 'each', gather: true }] }),
      },
    })
    const { id } = await client.submit(name, 0)
    await until('some of what is said', async () => (await books(name)).offered > SAID)
    const kafka = system.pid('kafka') as number
    process.kill(kafka, 'SIGSTOP')
    try {
      await until('a full queue', async () => (await books(name)).queued >= QUEUE)
    } finally {
      process.kill(kafka, 'SIGCONT')
    }
    let deepest = 0
    const [job] = await Promise.all([
      client.allEnded([id], 90_000).then(([ended]) => ended),
      until(
        'the end, with its books looked at',
        async () => {
          const { offered, delivered, dropped, queued } = await books(name)
          deepest = Math.max(deepest, queued)
          assert.equal(offered, delivered + dropped + queued)
          return (await client.job(id)).status === 'completed'
        },
        90_000,
      ),
    ])
    assert.deepEqual(
      [job?.status, job?.result],
      ['completed', { items: ITEMS, manifest: { total: ITEMS, missing: [] } }],
    )
    // The queue, those who wait for it, and what Kafka has not acknowledged yet.
    assert.ok(deepest > QUEUE / 2 && deepest <= 4 * QUEUE, `${deepest} at once`)
    const events = await client.events(id)
    assertWhole(events)
    const ended = events.filter(({ type }) => type === 'task.completed').length
    assert.equal(ended, ITEMS + 2)
    for (let item = 0; item < ITEMS; item += 1) {
      assert.deepEqual(numbersOf(events, String(item)), upTo(SAID), `item ${item}`)
    }
    const inLog = events.filter(({ type }) => type === 'task.event').length
    const missing = events.reduce((sum, { data }) => {
      return sum + ((data.lost as { count: number } | undefined)?.count ?? 0)
    }, 0)
    const { offered, delivered, dropped, queued } = await books(name)
    assert.deepEqual([offered, delivered, dropped, queued], [ITEMS * SAID, inLog, missing, 0])
    if (policy === 'block') assert.equal(dropped, 0)
    else assert.ok(dropped > 0, 'nothing overflowed')
  })
}

/** What a stage says of its events, counted at one moment. */
async function books(process: string) {
  const samples = await system.metrics(process)
  const of = (metric: string) => samples.get(metric) ?? 0
  const dropped = [...samples]
    .filter(([name]) => /^weir_telemetry_dropped_total\{.*signal="events"/.test(name))
    .reduce((sum, [, value]) => sum + value, 0)
  return {
    offered: of('weir_stage_events_offered_total'),
    delivered: of('weir_stage_events_delivered_total'),
    dropped,
    queued: of('weir_stage_events_queued'),
  }
}
