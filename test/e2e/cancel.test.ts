import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { act } from '../support/act-step.ts'
import type { Job } from '../support/api-client.ts'
import { readNoted } from '../support/noted.ts'
import { startSystem } from '../support/system.ts'
import { until } from '../support/until.ts'

const system = await startSystem({ stages: [{ name: 'act' }, { name: 'other', file: 'act' }] })
after(() => system.stop())
const { client, id: tenant } = await system.tenant('cancel')
const { client: neighbour } = await system.tenant('neighbour')

const log = system.file('cancel.log')
/** Within this a run with a handler that listens is to have ended. */
const END_MS = 5_000

const cancel = (id: string, reason?: string) =>
  client.send<Job>('POST', `/v1/jobs/${id}/cancel`, {
    body: reason === undefined ? {} : { reason },
  })
const typesOf = async (id: string) => (await client.events(id)).map(({ type }) => type)
const careful = { do: 'careful', ms: 60_000 }
const CLEANUPS = ['cleanup third', 'cleanup second', 'cleanup first']

const startOf = (id: string, step: string) =>
  until(`${step} to start`, () =>
    readNoted(log, id).some((line) => line.what === 'start' && line.step === step),
  )

/** The job as it is when its run has ended, its log whole: numbered, and asked for before the end. */
async function endedAsCancelled(id: string, deadlineMs = END_MS): Promise<Job> {
  const job = await client.ended(id, deadlineMs)
  assert.equal(job.status, 'cancelled')
  assert.equal(job.error, null)
  const events = await client.events(id)
  assert.deepEqual(
    events.map(({ seq }) => seq),
    events.map((_, index) => index + 1),
  )
  const types = events.map(({ type }) => type)
  assert.equal(types.at(-1), 'job.cancelled')
  assert.equal(types.filter((type) => type === 'job.cancel_requested').length, 1)
  assert.equal(types.filter((type) => type.startsWith('job.c')).length, 2)
  return job
}

/** Nothing is left anywhere: in the quotas, in the dispatcher's slots, at the stages, in the topics. */
async function assertNothingLeft(): Promise<void> {
  await until('the quotas to be given back', async () => {
    const [usage] = await system.query<{ queued: number; running: number }>(
      tenant,
      'select queued, in_flight as running from tenant_usage where tenant_id = $1',
      [tenant],
    )
    return usage?.queued === 0 && usage.running === 0
  })
  await until('the slots to be given back', async () => {
    const metrics = await system.metrics('dispatcher')
    return metrics.get('weir_dispatch_runs') === BYSTANDERS
  })
  for (const stage of ['act', 'other']) {
    await until(`nothing to be left at ${stage}`, async () => {
      const metrics = await system.metrics(stage)
      const own = stage === 'act' ? BYSTANDERS : 0
      return STAGE_GAUGES.every((name) => metrics.get(name) === (AT_WORK.has(name) ? own : 0))
    })
  }
  await until('the offsets of all else to be committed', async () => {
    const { stages } = await system.operator.get<Flow>('/v1/flow')
    return stages.length > 0 && stages.reduce((sum, { lag }) => sum + lag, 0) === BYSTANDERS
  })
}

type Flow = { readonly stages: readonly { readonly lag: number }[] }

/** One job at one stage, of another tenant. */
const BYSTANDERS = 1
const AT_WORK = new Set(['weir_stage_tasks_running', 'weir_stage_unfinished_records'])
const STAGE_GAUGES = [
  'weir_stage_tasks_running',
  'weir_stage_tasks_waiting',
  'weir_stage_queued_records',
  'weir_stage_unfinished_records',
  'weir_stage_open_joins',
]

/** What is still at work when the last test has run: nobody asked to cancel it. */
await neighbour.publish('bystander', {
  steps: { only: act('careful', { timeoutMs: 600_000, config: { ms: 600_000, log } }) },
})
const bystander = (await neighbour.submit('bystander', 'x')).id
await startOf(bystander, 'only')

await client.publish('careful', {
  steps: {
    first: act('add', { config: { log } }),
    work: act('careful', { after: ['first'], config: { ms: 60_000, log } }),
    last: act('echo', { after: ['work'], config: { log } }),
  },
})

test('a running job is aborted, cleaned up once and last in first out, and nothing of it starts again', async () => {
  const { id } = await client.submit('careful', 20)
  await startOf(id, 'work')
  const beforeMs = performance.now()
  const answer = await cancel(id, 'wrong day')
  const answeredMs = performance.now() - beforeMs
  assert.equal(answer.status, 202)
  assert.ok(['cancelling', 'cancelled'].includes(answer.body.status), answer.body.status)
  assert.ok(answeredMs < 2_000, `answered after ${answeredMs} ms`)
  const job = await endedAsCancelled(id)
  assert.deepEqual(
    readNoted(log, id).map(({ step, what }) => `${step} ${what}`),
    ['first start', 'work start', ...CLEANUPS.map((what) => `work ${what}`)],
  )
  assert.deepEqual(
    Object.entries(job.steps).map(([name, { status }]) => [name, status]),
    [
      ['first', 'completed'],
      ['work', 'cancelled'],
      ['last', 'cancelled'],
    ],
  )
  // What had completed stays readable, and who asked and why is there to read.
  assert.equal(job.steps.first?.output, 21)
  assert.equal(job.cancel?.reason, 'wrong day')
  const events = await client.events(id)
  for (const type of ['job.cancel_requested', 'job.cancelled']) {
    const { reason, actor } = events.find((event) => event.type === type)?.data ?? {}
    assert.deepEqual([reason, actor], ['wrong day', job.cancel?.actor])
  }
  await assertNothingLeft()
})

test('a queued job ends with the request, whoever waits hears of it, and it never runs', async () => {
  await client.publish('queued', { steps: { only: act('echo', { config: { log } }) } })
  await client.call('POST', '/v1/pipelines/queued/pause')
  const ordered = { orderingKey: 'k' }
  const { id } = await client.submit('queued', 1, ordered)
  const behind = await client.submit('queued', 2, ordered)
  const waiting = client.ended(id)
  const answer = await cancel(id)
  assert.deepEqual([answer.status, answer.body.status], [202, 'cancelled'])
  assert.equal((await waiting).status, 'cancelled')
  assert.deepEqual(await typesOf(id), ['job.queued', 'job.cancel_requested', 'job.cancelled'])
  // The job behind it goes on: nobody waits for one that has ended.
  await client.call('POST', '/v1/pipelines/queued/resume')
  assert.equal((await client.ended(behind.id)).status, 'completed')
  assert.deepEqual(readNoted(log, id), [])
})

test('cancelling again gives the same answer, and after another end there is nothing to cancel', async () => {
  const { id } = await client.submit('careful', 1)
  await startOf(id, 'work')
  const answers = await Promise.all([cancel(id, 'first'), cancel(id, 'second'), cancel(id)])
  assert.deepEqual(
    answers.map(({ status, body }) => [status, body.id]),
    Array(3).fill([202, id]),
  )
  const job = await endedAsCancelled(id)
  const again = await cancel(id, 'third')
  assert.deepEqual([again.status, again.body.status], [202, 'cancelled'])
  assert.equal(again.body.cancel?.reason, job.cancel?.reason)
  assert.equal(again.body.finishedAt, job.finishedAt)

  const done = await client.run('queued', 1)
  const late = await client.send('POST', `/v1/jobs/${done.id}/cancel`, { body: {} })
  assert.deepEqual([late.status, late.body.code], [409, 'job_already_finished'])
  assert.equal((await client.job(done.id)).status, 'completed')
})

test('a job that waits for its next attempt is not tried again', async () => {
  const retry = { attempts: 3, baseMs: 50 } as const
  await client.publish('retrying', {
    steps: { only: act('flaky', { retry, config: { retryAfterMs: 3_000, failures: 9, log } }) },
  })
  const { id } = await client.submit('retrying', 'x')
  await until('the job to wait for its retry', async () => {
    return (await client.job(id)).waitingFor?.kind === 'retry'
  })
  await cancel(id)
  await endedAsCancelled(id)
  const dueAt = (readNoted(log, id)[0]?.at ?? Number.NaN) + 3_500
  await until('the time of the next attempt', () => Date.now() > dueAt)
  assert.equal(readNoted(log, id).length, 1)
  assert.equal((await typesOf(id)).at(-1), 'job.cancelled')
  await assertNothingLeft()
})

test('a join that waits for its other part is given up', async () => {
  await client.publish('joining', {
    steps: {
      quick: act('echo', { config: { log } }),
      slow: act('careful', { config: { ...careful, log } }),
      meet: act('join', { stage: 'other@1', after: ['quick', 'slow'], config: { log } }),
    },
  })
  const { id } = await client.submit('joining', 'x')
  await until('the join to be open', async () => {
    const metrics = await system.metrics('other')
    return metrics.get('weir_stage_open_joins') === 1
  })
  await startOf(id, 'slow')
  await cancel(id)
  const job = await endedAsCancelled(id)
  assert.deepEqual(
    [job.steps.quick?.status, job.steps.slow?.status, job.steps.meet?.status],
    ['completed', 'cancelled', 'cancelled'],
  )
  assert.deepEqual(
    readNoted(log, id).filter(({ step }) => step === 'meet'),
    [],
  )
  await assertNothingLeft()
})

test('of a fan-out what runs is cleaned up, and what waits never starts', async () => {
  await client.publish('fanned', {
    steps: {
      split: act('echo'),
      it: act('echo', { after: [{ step: 'split', each: true }], config: { log } }),
      next: act('echo', { stage: 'other@1', after: ['it'], config: { log } }),
      all: act('count', { after: [{ step: 'next', gather: true }], config: { log } }),
    },
  })
  // More than the stage runs of one tenant at once.
  const elements = Array.from({ length: 150 }, () => careful)
  const { id } = await client.submit('fanned', elements)
  const isStart = ({ what, step }: { what: string; step: string }) =>
    what === 'start' && step === 'it'
  await until('many of them to run', () => readNoted(log, id).filter(isStart).length >= 20)
  await cancel(id)
  const job = await endedAsCancelled(id)
  assert.equal(job.steps.it?.status, 'cancelled')
  await assertNothingLeft()
  const lines = readNoted(log, id)
  const started = lines.filter(isStart)
  assert.ok(started.length < elements.length, 'all elements had started')
  for (const { item } of started) {
    const own = lines.filter((line) => line.item === item).map(({ what }) => what)
    assert.deepEqual(own, ['start', ...CLEANUPS], `element ${item}`)
  }
  assert.deepEqual([...new Set(lines.map(({ step }) => step))], ['it'])
  const askedAt = Date.parse(job.cancel?.requestedAt ?? '')
  assert.deepEqual(
    lines.filter(({ what, at }) => what === 'start' && at > askedAt + 3_000),
    [],
  )
})

test('a handler that does not listen is left behind, and its result counts for nothing', async () => {
  await client.publish('stubborn', {
    steps: {
      only: act('stubborn', { config: { ms: 6_000, log } }),
      next: act('echo', { after: ['only'], config: { log } }),
    },
  })
  const { id } = await client.submit('stubborn', 'x')
  await startOf(id, 'only')
  const startedAt = readNoted(log, id)[0]?.at ?? Number.NaN
  await cancel(id)
  await endedAsCancelled(id, 15_000)
  const events = await client.events(id)
  await until('the handler to have returned', () => Date.now() > startedAt + 7_000)
  await assertNothingLeft()
  assert.deepEqual(await client.events(id), events)
  assert.deepEqual(
    readNoted(log, id).map(({ step }) => step),
    ['only'],
  )
})

test('a cancel that races the claim, the work and the end of a job is never lost', async (t) => {
  await client.publish('race', {
    steps: {
      a: act('echo'),
      b: act('echo', { stage: 'other@1', after: ['a'] }),
      c: act('echo', { after: ['b'] }),
    },
  })
  const jobs = 150
  const seen: { id: string; status: number; took: number }[] = []
  const waiting = Array.from({ length: jobs }, (_, at) => at)
  const race = async () => {
    for (let at = waiting.shift(); at !== undefined; at = waiting.shift()) {
      const { id } = await client.submit('race', at)
      // Each a little later in the life of its job than the one before.
      await new Promise((resolve) => setTimeout(resolve, at % 50))
      const start = performance.now()
      const { status } = await cancel(id)
      seen.push({ id, status, took: performance.now() - start })
    }
  }
  await Promise.all(Array.from({ length: 6 }, race))
  const ended = await client.allEnded(seen.map(({ id }) => id))
  for (const [at, { id, status }] of seen.entries()) {
    const expected = status === 202 ? 'cancelled' : 'completed'
    assert.equal(ended[at]?.status, expected, `${id} was answered ${status}`)
    if (status !== 202) assert.equal(status, 409)
    const events = await client.events(id)
    assert.deepEqual(
      events.map(({ seq }) => seq),
      events.map((_, index) => index + 1),
    )
    assert.equal(events.at(-1)?.type, `job.${expected}`)
  }
  const accepted = seen.filter(({ status }) => status === 202)
  assert.ok(accepted.length > 0, 'no job was cancelled')
  const took = seen.map((one) => one.took).sort((one, other) => one - other)
  const ms = (share: number) => Math.round(took[Math.floor((took.length - 1) * share)] ?? 0)
  t.diagnostic(
    `${accepted.length} of ${jobs} cancelled; answers: ${ms(0.5)} ms, p99 ${ms(0.99)} ms`,
  )
  await assertNothingLeft()
})

test('all jobs of a pipeline are cancelled at once, and none of another', async () => {
  await client.publish('many', { steps: { only: act('careful', { config: { ...careful, log } }) } })
  const running = await client.submitBatch('many', Array(5).fill(1), { tags: { day: 'one' } })
  await until('all of them to run', () => running.every((id) => readNoted(log, id).length > 0))
  await client.call('POST', '/v1/pipelines/many/pause')
  const queued = await client.submitBatch('many', Array(5).fill(1), { tags: { day: 'two' } })
  const { id: other } = await client.submit('careful', 1)
  await startOf(other, 'work')

  const all = (body: object) => client.send<object>('POST', '/v1/jobs/cancel', { body })
  const filter = { pipeline: 'many' }
  const dry = await all({ filter, dryRun: true })
  assert.deepEqual(
    [dry.status, dry.body],
    [200, { total: 10, byStatus: { queued: 5, running: 5 } }],
  )
  assert.equal((await client.job(queued[0] as string)).status, 'queued')
  const real = await all({ filter, reason: 'the day is over' })
  assert.deepEqual([real.status, real.body], [202, { cancelled: 5, cancelling: 5, more: false }])
  for (const id of [...running, ...queued]) {
    const job = await endedAsCancelled(id)
    assert.equal(job.cancel?.reason, 'the day is over')
  }
  assert.deepEqual((await all({ filter })).body, { cancelled: 0, cancelling: 0, more: false })
  const counts = await client.get('/v1/jobs/counts?pipeline=many')
  assert.deepEqual(counts, { total: 10, byStatus: { cancelled: 10 } })
  assert.equal((await client.job(other)).status, 'running')
  await cancel(other)
  await endedAsCancelled(other)
  await assertNothingLeft()
})

test('the ledger is killed before it has heard of a cancel: the next one carries it out', async () => {
  const { id } = await client.submit('careful', 1)
  await startOf(id, 'work')
  // It hears nothing more, and the hint is gone with it.
  process.kill((await until('the ledger', () => system.pid('ledger'))) as number, 'SIGSTOP')
  const answer = await cancel(id, 'while it was away')
  assert.deepEqual([answer.status, answer.body.status], [202, 'cancelling'])
  await system.kill('ledger')
  const job = await endedAsCancelled(id, 20_000)
  assert.equal(job.cancel?.reason, 'while it was away')
  assert.equal(job.steps.first?.output, 2)
})

test('the ledger is killed between the request and the end: the run ends once all the same', async () => {
  const { id } = await client.submit('stubborn', 'x')
  await startOf(id, 'only')
  await cancel(id)
  await until('the request to be in the log', async () => {
    return (await typesOf(id)).includes('job.cancel_requested')
  })
  assert.equal((await client.job(id)).status, 'cancelling')
  await system.kill('ledger')
  await endedAsCancelled(id, 30_000)
})

test('control is killed right after its answer: the cancel stands', async () => {
  const { id } = await client.submit('careful', 1)
  await startOf(id, 'work')
  assert.equal((await cancel(id)).status, 202)
  await system.kill('control')
  await endedAsCancelled(id, 20_000)
})

test('a stage that dies while it cleans up holds nothing up for long', async () => {
  const { id } = await client.submit('stubborn', 'x')
  await startOf(id, 'only')
  await cancel(id)
  await until('the request to be in the log', async () => {
    return (await typesOf(id)).includes('job.cancel_requested')
  })
  const startedMs = performance.now()
  await system.kill('act')
  await endedAsCancelled(id, 30_000)
  assert.ok(performance.now() - startedMs < 30_000)
  // It is not run again where it was running when the stage died.
  assert.equal(readNoted(log, id).length, 1)
})

test('what nobody asked to cancel was cleaned up by nobody', async () => {
  const { status, steps } = await neighbour.job(bystander)
  assert.deepEqual([status, steps.only?.status], ['running', 'running'])
  const cleanups = readNoted(log, bystander).filter(({ what }) => what !== 'start')
  assert.deepEqual(cleanups, [])
})
