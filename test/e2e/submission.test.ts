import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import type { Plan } from '@weir/contracts'
import { projectJob } from '@weir/core'
import { act } from '../support/act-step.ts'
import type { Client, Job, JobEvent } from '../support/api-client.ts'
import { followEvents } from '../support/event-stream.ts'
import { startSystem } from '../support/system.ts'
import { until } from '../support/until.ts'

const system = await startSystem({ stages: [{ name: 'act' }], controls: 2 })
after(() => system.stop())
const { client } = await system.tenant('submission')
const other = system.clientAt('control.2', client)

/** Splits into 4, doubles each beside a copy of the input, and joins both. */
const woven = {
  steps: {
    split: act('range', { config: { n: 4 } }),
    copy: act('echo'),
    each: act('double', { after: [{ step: 'split', each: true }] }),
    all: act('sum', { after: [{ step: 'each', gather: true }] }),
    end: act('join', { after: ['copy', 'all'] }),
  },
}
const line = { steps: { one: act('echo'), two: act('echo', { after: ['one'] }) } }

await client.publish('woven', woven)
await client.publish('line', line)
await client.publish('slow', { steps: { only: act('slow', { config: { ms: 1_500 } }) } })
// Registered and never started: what is submitted to it stays in the queue.
await system.register({ name: 'absent' })
const absent = { steps: { only: act('echo', { stage: 'absent@1' }) } }

/** Every id of a list, page after page. */
async function listIds(by: Client, query: string, limit = 500): Promise<string[]> {
  const ids: string[] = []
  let cursor = ''
  do {
    const page = await by.get<{ jobs: readonly Job[]; nextCursor?: string }>(
      `/v1/jobs?limit=${limit}&${query}${cursor === '' ? '' : `&cursor=${encodeURIComponent(cursor)}`}`,
    )
    ids.push(...page.jobs.map(({ id }) => id))
    cursor = page.nextCursor ?? ''
  } while (cursor !== '')
  return ids
}

async function isIdle(by: Client): Promise<boolean> {
  const { quotas } = await by.get<{ quotas: Record<string, { used?: number }> }>('/v1/usage')
  return quotas.maxQueuedJobs?.used === 0 && quotas.maxInFlightJobs?.used === 0
}

function assertWholeLog(events: readonly JobEvent[]): void {
  assert.deepEqual(
    events.map(({ seq }) => seq),
    events.map((_, index) => index + 1),
  )
  const terminal = /^job\.(completed|completed_with_failures|failed|cancelled|dropped)$/
  const ends = events.filter(({ type }) => terminal.test(type))
  assert.equal(ends.length, 1, 'a run ends once')
  assert.equal(ends[0], events.at(-1), 'nothing comes after the end')
  assert.deepEqual(
    events.slice(0, 2).map(({ type }) => type),
    ['job.queued', 'job.dispatched'],
  )
}

test('a hundred equal submits at two control instances at once are one job', async () => {
  const body = { input: { a: 1 } }
  const headers = { 'idempotency-key': 'the-same' }
  const answers = await Promise.all(
    Array.from({ length: 100 }, (_, index) =>
      (index % 2 === 0 ? client : other).send<Job>('POST', '/v1/pipelines/line/jobs', {
        body,
        headers,
      }),
    ),
  )
  assert.deepEqual([...new Set(answers.map(({ status }) => status))], [202])
  assert.equal(new Set(answers.map((answer) => answer.body.id)).size, 1)
  const fresh = answers.filter((answer) => answer.headers.get('idempotency-replayed') !== 'true')
  assert.equal(fresh.length, 1)
  assert.equal((await listIds(client, 'idempotencyKey=the-same')).length, 1)
})

test('a key with another body is refused, and another tenant’s key is another key', async () => {
  const headers = { 'idempotency-key': 'shared' }
  const first = await client.submit('line', 1, { headers })
  const again = await client.submit('line', 1, { headers })
  assert.equal(again.id, first.id)
  const mismatch = await client.send('POST', '/v1/pipelines/line/jobs', {
    body: { input: 2 },
    headers,
  })
  assert.deepEqual([mismatch.status, mismatch.body.code], [422, 'idempotency_mismatch'])
  const { client: stranger } = await system.tenant('stranger')
  await stranger.publish('line', line)
  const theirs = await stranger.submit('line', 2, { headers })
  assert.notEqual(theirs.id, first.id)
})

test('a batch of 10,000 is accepted as a whole, and every job of it ends', async () => {
  const { client: bulk } = await system.tenant('bulk', {
    submitRatePerSecond: 100_000,
    submitBurst: 100_000,
    maxQueuedJobs: 20_000,
    maxInFlightJobs: 20_000,
  })
  await bulk.publish('line', line)
  const inputs = Array.from({ length: 10_000 }, (_, index) => index)
  const ids = await bulk.submitBatch('line', inputs)
  assert.equal(new Set(ids).size, 10_000)
  await until('all of the batch to end', () => isIdle(bulk), 90_000)
  const completed = new Set(await listIds(bulk, 'status=completed'))
  assert.deepEqual(
    ids.filter((id) => !completed.has(id)),
    [],
  )
  for (const index of [0, 1, 4_999, 9_999]) {
    assert.equal((await bulk.job(ids[index] as string)).result, index)
  }
})

test('a batch with one job that is not valid, or that is too many, is refused as a whole', async () => {
  const { client: small } = await system.tenant('small', { maxQueuedJobs: 99 })
  await small.publish('typed', { input: { type: 'integer' }, ...absent })
  const path = '/v1/pipelines/typed/jobs/batch'
  const jobs = Array.from({ length: 100 }, (_, index) => ({ input: index as unknown }))
  const wrong = jobs.map((job, index) => (index === 42 ? { input: 'forty-two' } : job))
  const invalid = await small.send('POST', path, { body: { jobs: wrong } })
  assert.equal(invalid.status, 422)
  assert.ok(invalid.body.errors?.every((error) => error.path.startsWith('/jobs/42/')))
  const many = await small.send('POST', path, { body: { jobs } })
  assert.deepEqual(
    [many.status, many.body.code, many.body.cause],
    [429, 'quota_exceeded', 'tenant'],
  )
  assert.deepEqual(await listIds(small, 'pipeline=typed'), [])

  const lines = jobs.slice(1).map((job) => JSON.stringify(job))
  const text = { type: 'application/x-ndjson', body: `${lines.join('\n')}\n` }
  const { accepted } = await small.call<{ accepted: number }>('POST', path, { text })
  assert.equal(accepted, 99)
  const full = await small.send('POST', '/v1/pipelines/typed/jobs', { body: { input: 1 } })
  // The queue is full because nobody works at its stage.
  const { code, cause, stage } = full.body
  assert.deepEqual([full.status, code, cause, stage], [429, 'backpressure', 'platform', 'absent@1'])
  assert.ok(Number(full.headers.get('retry-after')) >= 1)
})

test('who submits faster than its rate is told when to come back', async () => {
  const { client: hasty } = await system.tenant('hasty', { submitRatePerSecond: 2, submitBurst: 5 })
  await hasty.publish('line', line)
  const answers = []
  for (let n = 0; n < 12; n += 1) {
    answers.push(await hasty.send('POST', '/v1/pipelines/line/jobs', { body: { input: n } }))
  }
  const refused = answers.filter(({ status }) => status === 429)
  assert.ok(refused.length >= 1 && refused.length <= 7, `${refused.length} were refused`)
  for (const { headers, body } of refused) {
    assert.deepEqual([body.code, body.cause], ['rate_limited', 'tenant'])
    assert.ok(Number(headers.get('retry-after')) >= 1)
  }
  const { status } = await client.run('line', 'others go on')
  assert.equal(status, 'completed')
})

test('what is larger, or more, than a tenant may have is refused by name', async () => {
  const { client: tight } = await system.tenant('tight', {
    maxPayloadBytes: 1_000,
    maxPipelines: 1,
  })
  await tight.publish('line', line)
  const large = await tight.send('POST', '/v1/pipelines/line/jobs', {
    body: { input: 'x'.repeat(2_000) },
  })
  assert.deepEqual([large.status, large.body.code], [413, 'payload_too_large'])
  const second = await tight.send('PUT', '/v1/pipelines/second', { body: line })
  assert.deepEqual([second.status, second.body.code], [429, 'quota_exceeded'])
})

test('a job’s events are numbered without a gap, and the job can be rebuilt from them', async () => {
  await client.publish('eventful', {
    onFailure: 'best_effort',
    steps: {
      split: act('echo'),
      each: act('echo', {
        after: [{ step: 'split', each: true }],
        retry: { attempts: 2, baseMs: 50, backoff: 'constant', jitter: 'none' },
      }),
      all: act('count', { after: [{ step: 'each', gather: true }] }),
    },
  })
  const elements = [{ n: 1 }, { do: 'flaky' }, { do: 'fail' }, { do: 'skip' }, { n: 2 }]
  const job = await client.run('eventful', elements)
  assert.equal(job.status, 'completed_with_failures')
  const events = await client.events(job.id)
  assertWholeLog(events)
  const count = (type: string) => events.filter((event) => event.type === type).length
  assert.deepEqual(
    ['task.completed', 'task.failed', 'task.skipped', 'task.retry_scheduled'].map(count),
    [5, 1, 1, 1],
  )
  const after3 = await client.get<{ events: JobEvent[] }>(`/v1/jobs/${job.id}/events?after=3`)
  assert.deepEqual(after3.events, events.slice(3))

  const plans = (await system.read(system.topics.plans)).flatMap(({ value }) =>
    value === null ? [] : [JSON.parse(value.toString()) as Plan],
  )
  const plan = plans.find(({ pipeline }) => pipeline === 'eventful') as Plan
  type Events = Parameters<typeof projectJob>[1]
  const rebuilt = projectJob(plan, events as Events, { outputs: true })
  assert.deepEqual(JSON.parse(JSON.stringify(rebuilt.steps)), job.steps)
  assert.deepEqual([rebuilt.status, rebuilt.result], [job.status, job.result])
})

test('events come live over a stream that ends with the job, and goes on where it broke off', async () => {
  const { id } = await client.submit('slow', 'x')
  const seen: JobEvent[] = []
  const arrivals: number[] = []
  for await (const event of followEvents(client, id)) {
    seen.push(event)
    arrivals.push(Date.now())
  }
  assertWholeLog(seen)
  assert.deepEqual(seen, await client.events(id))
  const spreadMs = (arrivals.at(-1) ?? 0) - (arrivals[0] ?? 0)
  assert.ok(spreadMs > 700, `the first event came only ${spreadMs} ms before the last`)

  const rest: JobEvent[] = []
  for await (const event of followEvents(other, id, 2)) rest.push(event)
  assert.deepEqual(rest, seen.slice(2))
})

test('what handlers say of their progress comes over the stream, in order and within a rate', async () => {
  await client.publish('progress', {
    steps: {
      paced: act('progress', { config: { n: 3, ms: 1_100 } }),
      hasty: act('progress', { config: { n: 500 } }),
    },
  })
  const { id } = await client.submit('progress', 1)
  const events: JobEvent[] = []
  for await (const event of followEvents(client, id)) events.push(event)
  assertWholeLog(events)
  const said = (step: string) =>
    events.flatMap(({ type, step: of, data }) =>
      type === 'task.progress' && of === step ? [data.progress] : [],
    )
  assert.deepEqual(said('paced'), [
    { n: 1, done: 1, total: 3 },
    { n: 2, done: 2, total: 3 },
    { n: 3, done: 3, total: 3 },
  ])
  // Of what came faster than the rate the first and the last word are told.
  assert.deepEqual(said('hasty'), [
    { n: 1, done: 1, total: 500 },
    { n: 2, done: 500, total: 500 },
  ])
  const last = events.findLastIndex(
    ({ type, step }) => type === 'task.progress' && step === 'hasty',
  )
  const end = events.findIndex(({ type, step }) => type === 'task.completed' && step === 'hasty')
  assert.ok(last < end, 'before the end of its task')
})

test('a thousand woven jobs at two instances get their own results, each with a whole log', async () => {
  const inputs = Array.from({ length: 500 }, (_, index) => index)
  const [even, odd] = await Promise.all([
    client.submitBatch(
      'woven',
      inputs.map((index) => `even-${index}`),
    ),
    other.submitBatch(
      'woven',
      inputs.map((index) => `odd-${index}`),
    ),
  ])
  const jobs = await client.allEnded([...(even ?? []), ...(odd ?? [])], 90_000)
  const expected = [...inputs.map((n) => `even-${n}`), ...inputs.map((n) => `odd-${n}`)]
  assert.deepEqual(
    jobs.map(({ result }) => result),
    expected.map((copy) => ({ inputs: { all: 12, copy }, missing: [] })),
  )
  for (const { id } of jobs.filter((_, index) => index % 50 === 0)) {
    assertWholeLog(await client.events(id))
  }
})

test('lists are filtered, and come page by page with the newest first', async () => {
  const tags = { color: 'blue' }
  const ids: string[] = []
  for (let n = 0; n < 5; n += 1) {
    const { id } = await client.submit('line', n, { tags, correlationId: `corr-${n % 2}` })
    ids.push(id)
  }
  await client.allEnded(ids)
  assert.deepEqual(await listIds(client, 'tag.color=blue', 2), ids.toReversed())
  assert.deepEqual(await listIds(client, 'correlationId=corr-1'), [ids[3], ids[1]])
})
