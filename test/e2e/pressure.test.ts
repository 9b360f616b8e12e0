import assert from 'node:assert/strict'
import { rmSync, writeFileSync } from 'node:fs'
import { after, afterEach, test } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'
import type { GateRecord } from '@weir/contracts'
import { act } from '../support/act-step.ts'
import type { Client, Job, Problem } from '../support/api-client.ts'
import { startSystem } from '../support/system.ts'
import { until as untilWithin } from '../support/until.ts'

const CONCURRENCY = 4
const SOON_MS = 60_000
const LINE = ['one', 'two', 'three', 'four', 'five'] as const

const system = await startSystem({
  stages: [
    ...LINE.map((name) => ({ name, file: 'act', partitions: 2 })),
    { name: 'small', file: 'act', partitions: 1 },
    { name: 'slow', file: 'act', partitions: 2 },
  ],
  env: { WEIR_CONCURRENCY: String(CONCURRENCY) },
})
const bars: string[] = []
after(() => system.stop())
afterEach(() => {
  // A test that fails must not leave a stage that stands still to the next one.
  for (const path of bars) rmSync(path, { force: true })
})
const until = <Value>(what: string, condition: () => Value | Promise<Value>) =>
  untilWithin(what, condition, SOON_MS)
type Registered = { readonly state: string }
// A change that meets the stage's own activation is refused.
await until('the stage to be active', async () => {
  return (await system.operator.get<Registered>('/v1/stages/small@1')).state === 'active'
})
await system.operator.call('PUT', '/v1/stages/small@1', { body: { inFlightMax: 8 } })
const quotas = { submitRatePerSecond: 10_000, submitBurst: 10_000, maxInFlightJobs: 10_000 }
const numbers = (count: number) => Array.from({ length: count }, (_, index) => index)

type Level = Pick<GateRecord, 'stage' | 'state' | 'lag' | 'inFlightLimit' | 'reason'> & {
  readonly inFlight: number
}
type Flow = { readonly stages: readonly Level[]; readonly queue: { readonly queued: number } }
const levelOf = async (stage: string): Promise<Level> => {
  const { stages } = await system.operator.get<Flow>('/v1/flow')
  return stages.find((one) => one.stage === stage) as Level
}
const isOpen = (stage: string) => async () => (await levelOf(stage)).state === 'open'
const gatesOf = async (stage: string): Promise<readonly GateRecord[]> =>
  (await system.read(system.topics.gates))
    .flatMap(({ value }) => (value === null ? [] : [JSON.parse(String(value)) as GateRecord]))
    .filter((gate) => gate.stage === stage && gate.lane === 'normal')

/** Stops a stage's handlers for as long as it is there. */
const bar = (name: string) => {
  const path = system.file(name)
  bars.push(path)
  return {
    config: { bar: path },
    close: () => writeFileSync(path, ''),
    open: () => rmSync(path, { force: true }),
  }
}

type Offered = {
  readonly ids: readonly string[]
  readonly refused: readonly (Problem & { readonly retryAfterS: number })[]
}

/** Submits one job after the other, `everyMs` apart; goes on until it is told that it is enough. */
async function offer(
  client: Client,
  pipeline: string,
  everyMs: number,
  isEnough: (offered: Offered) => boolean,
): Promise<Offered> {
  const offered = { ids: [] as string[], refused: [] as Offered['refused'][number][] }
  const deadline = performance.now() + SOON_MS
  for (let input = 0; !isEnough(offered); input += 1) {
    assert.ok(performance.now() < deadline, 'the load has gone on for long enough')
    const path = `/v1/pipelines/${pipeline}/jobs`
    const { status, headers, body } = await client.send<Job & Problem>('POST', path, {
      body: { input },
    })
    if (status === 202) offered.ids.push(body.id)
    else {
      assert.equal(status, 429)
      offered.refused.push({ ...body, retryAfterS: Number(headers.get('retry-after')) })
    }
    // The pace of the load, not a wait for something.
    if (everyMs > 0) await pause(everyMs)
  }
  return offered
}

/** How many records the first stage of the line was sent. */
const dispatched = async () => (await system.read(system.topics.input('one@1', 'normal'))).length

test('the last of five stages stands still: nothing more goes in, the door says why, and nothing is lost', async (t) => {
  const { client } = await system.tenant('line', { ...quotas, maxQueuedJobs: 30 })
  const still = bar('five')
  await client.publish('line', {
    steps: Object.fromEntries(
      LINE.map((name, at) => [
        name,
        name === 'five'
          ? act('barred', {
              stage: 'five@1',
              after: ['four'],
              config: { ...still.config, ms: 10 },
              timeoutMs: 300_000,
            })
          : act('echo', { stage: `${name}@1`, ...(at > 0 && { after: [LINE[at - 1] as string] }) }),
      ]),
    ),
  })
  await until('the gate to be open', isOpen('five@1'))
  const flows = await offer(client, 'line', 10, ({ ids }) => ids.length >= 150)
  assert.deepEqual(flows.refused, [])
  still.close()
  const closedAt = Date.now()
  const fills = await offer(client, 'line', 10, ({ refused }) => refused.length >= 5)
  const gate = await levelOf('five@1')
  // On a machine that is short of time it may be late before it is known to stand still.
  assert.deepEqual([gate.state, gate.inFlightLimit], ['closed', 0])
  assert.match(gate.reason, /^(stalled|late)$/)
  for (const { code, cause, stage, retryAfterS, quota } of fills.refused) {
    assert.deepEqual(
      [code, cause, stage, quota],
      ['backpressure', 'platform', 'five@1', 'maxQueuedJobs'],
    )
    assert.ok(retryAfterS >= 1)
  }
  const closing = (await gatesOf('five@1')).find(({ state, since }) => {
    return state === 'closed' && since >= closedAt
  })
  t.diagnostic(
    `the gate was closed ${(closing?.since ?? 0) - closedAt} ms after the stage stood still`,
  )

  // What waits is at the door: not a record more goes in, whoever is killed meanwhile.
  const waiting = await client.call<Job>('GET', `/v1/jobs/${fills.ids.at(-1)}`)
  assert.equal(waiting.status, 'queued')
  assert.deepEqual([waiting.waitingFor?.kind, waiting.waitingFor?.stage], ['gate', 'five@1'])
  const sent = await dispatched()
  await Promise.all(['two', 'dispatcher', 'watchdog'].map((name) => system.kill(name)))
  await until('the dispatcher to lead again', async () => {
    return (await system.metrics('dispatcher')).get('weir_dispatch_leading') === 1
  })
  const again = await until('the gate to be known again', async () => {
    const level = await levelOf('five@1')
    return level.state !== ('unknown' as string) && level
  })
  assert.deepEqual([again.state, again.inFlightLimit], ['closed', 0])
  const more = await offer(client, 'line', 0, ({ refused }) => refused.length >= 5)
  assert.deepEqual(more.ids, [])
  assert.equal(await dispatched(), sent)
  assert.ok(again.lag <= sent, `${again.lag} records wait, of ${sent} jobs that were let in`)

  still.open()
  const ids = [...flows.ids, ...fills.ids]
  const jobs = await client.allEnded(ids, 120_000)
  assert.deepEqual(new Set(jobs.map(({ status }) => status)), new Set(['completed']))
  const results = jobs.map(({ result }) => result as number)
  assert.deepEqual(results, [...numbers(flows.ids.length), ...numbers(fills.ids.length)])
  await until('the gate to be open again', isOpen('five@1'))
})

test('twice of what a stage can do waits at the door and not before the stage, which is kept busy', async (t) => {
  const { client } = await system.tenant('twice', { ...quotas, maxQueuedJobs: 10_000 })
  await client.publish('twice', {
    steps: { only: act('slow', { stage: 'slow@1', config: { ms: 50 } }) },
  })
  await until('the gate to be open', isOpen('slow@1'))
  const ids = await client.submitBatch('twice', numbers(1_600))
  // At 80 a second and with a second to wait, about eighty wait and four are worked on.
  const held = await until('the backlog to be at the door', async () => {
    const level = await levelOf('slow@1')
    const { queue } = await client.get<Flow>('/v1/flow')
    return level.state === 'throttled' && level.lag <= 160 && queue.queued > 200 && level
  })
  assert.ok(held.inFlightLimit < 1_000 && held.inFlightLimit >= CONCURRENCY)
  const jobs = await client.allEnded(ids, 120_000)
  assert.ok(jobs.every(({ status }) => status === 'completed'))
  const took = jobs.map(({ finishedAt }) => Date.parse(finishedAt ?? ''))
  const perSecond = (1_600 * 1_000) / (Math.max(...took) - Date.parse(jobs[0]?.submittedAt ?? ''))
  t.diagnostic(`${perSecond.toFixed(1)} jobs a second, of 80 that the stage can do`)
  await until('the gate to be open again', isOpen('slow@1'))
  const states = (await gatesOf('slow@1')).map(({ state, reason }) => `${state} ${reason}`)
  const changes = states.filter((state, at) => state !== states[at - 1])
  // Full, late, recovering and open: it does not go to and fro.
  const since = changes.slice(changes.indexOf('open ') + 1)
  assert.ok(since.length <= 4, since.join(', '))
})

test('a pipeline that refuses does so as soon as its path has no room, and counts exactly', async (t) => {
  const { client } = await system.tenant('refuses', { ...quotas, maxQueuedJobs: 10_000 })
  const still = bar('refuses')
  const only = act('barred', { stage: 'small@1', config: still.config, timeoutMs: 300_000 })
  await client.publish('refuses', { onOverload: 'reject', steps: { only } })
  await until('the gate to be open', isOpen('small@1'))
  still.close()
  const first = await client.submit('refuses', -1, { headers: { 'idempotency-key': 'first' } })
  const before = performance.now()
  const { ids, refused } = await offer(client, 'refuses', 0, (offered) => {
    return offered.ids.length + offered.refused.length === 200
  })
  t.diagnostic(`200 answers in ${Math.round(performance.now() - before)} ms`)
  // The door knows what is held as of a moment ago: it may let in as many again, and no more.
  assert.ok(ids.length >= 1 && ids.length <= 16, `${ids.length} were let in, of 8 that have room`)
  assert.equal(ids.length + refused.length, 200)
  for (const { code, cause, stage, retryAfterS } of refused) {
    assert.deepEqual([code, cause, stage], ['backpressure', 'platform', 'small@1'])
    assert.ok(retryAfterS >= 1)
  }
  const batch = { body: { jobs: numbers(9).map((input) => ({ input })) } }
  const { status } = await client.send('POST', '/v1/pipelines/refuses/jobs/batch', batch)
  assert.equal(status, 429)
  const repeat = await client.submit('refuses', -1, { headers: { 'idempotency-key': 'first' } })
  assert.equal(repeat.id, first.id)
  // At the most what came in just before the gate closed: such a pipeline has no queue to speak of.
  assert.ok((await client.get<Flow>('/v1/flow')).queue.queued <= ids.length)
  still.open()
  const jobs = await client.allEnded([first.id, ...ids])
  assert.ok(jobs.every(({ status: ended }) => ended === 'completed'))
  const { jobs: all } = await client.get<{ jobs: readonly Job[] }>('/v1/jobs?pipeline=refuses')
  assert.equal(all.length, 1 + ids.length)
  await until('room again', async () => {
    const { status: now } = await client.send('POST', '/v1/pipelines/refuses/jobs', {
      body: { input: 1 },
    })
    return now === 202
  })
})

test('a pipeline that drops the oldest runs the newest of its queue, and every job that is dropped says so', async () => {
  const { client } = await system.tenant('drops', { ...quotas, maxQueuedJobs: 10_000 })
  const still = bar('drops')
  const only = act('barred', { stage: 'small@1', config: still.config, timeoutMs: 300_000 })
  await client.publish('drops', { onOverload: 'drop_oldest', queueMax: 10, steps: { only } })
  await until('the gate to be open', isOpen('small@1'))
  still.close()
  const first = await client.submitBatch('drops', numbers(8))
  // A small stage is throttled before it has all that it may have.
  await until(
    'nothing more to be let in',
    async () => (await levelOf('small@1')).state === 'closed',
  )
  const isIn = async (id: string) => (await client.get<Job>(`/v1/jobs/${id}`)).status !== 'queued'
  const are = await Promise.all(first.map(isIn))
  const ran = first.filter((_, at) => are[at])
  assert.ok(ran.length >= CONCURRENCY)
  const one = (await offer(client, 'drops', 0, ({ ids }) => ids.length === 40)).ids
  // More than one transaction drops.
  const many = await client.submitBatch('drops', numbers(1_200))
  const last = (await offer(client, 'drops', 0, ({ ids }) => ids.length === 4)).ids
  const all = [...first, ...one, ...many, ...last]
  const queued = all.slice(-10)
  assert.equal((await client.get<Flow>('/v1/flow')).queue.queued, 10)
  const { jobs: waiting } = await client.get<{ jobs: readonly Job[] }>(
    '/v1/jobs?pipeline=drops&status=queued',
  )
  assert.deepEqual(waiting.map(({ id }) => id).toReversed(), queued)
  still.open()
  const jobs = await client.allEnded(all, 120_000)
  const statusOf = new Map(jobs.map(({ id, status }) => [id, status]))
  for (const id of [...ran, ...queued]) assert.equal(statusOf.get(id), 'completed')
  const dropped = all.filter((id) => statusOf.get(id) === 'dropped')
  assert.equal(dropped.length, all.length - ran.length - queued.length)
  for (const id of [dropped[0], dropped.at(-1)]) {
    const events = await client.events(id as string)
    assert.deepEqual(
      events.map(({ type }) => type),
      ['job.queued', 'job.dropped'],
    )
    assert.match(String(events.at(-1)?.data.reason), /keeps 10 jobs in its queue/)
  }
  const { jobs: found } = await client.get<{ jobs: readonly Job[] }>(
    '/v1/jobs?pipeline=drops&status=dropped&limit=500',
  )
  assert.equal(found.length, 500)
})
