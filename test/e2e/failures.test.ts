import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import type { InstanceRecord } from '@weir/contracts'
import { createProducer } from '@weir/kafka'
import { act, once } from '../support/act-step.ts'
import { readNoted, startedSteps } from '../support/noted.ts'
import { startSystem } from '../support/system.ts'
import { until } from '../support/until.ts'

const system = await startSystem({ stages: [{ name: 'act' }, { name: 'strict' }] })
after(() => system.stop())
const { client } = await system.tenant('failures')

const log = system.file('failures.log')
const quick = { attempts: 3, baseMs: 50, backoff: 'constant', jitter: 'none' } as const
const waitedMs = (earlier: number | undefined, later: number | undefined) =>
  (later ?? Number.NaN) - (earlier ?? Number.NaN)

/** What a deed leads to. */
type Expected = {
  readonly job: string
  readonly step: string
  /** What becomes of a step that has nothing else to run on; over runs tell apart no further. */
  readonly next: readonly string[]
}

const over = ['cancelled', 'skipped']
const outcomes: Readonly<Record<string, Expected>> = {
  echo: { job: 'completed', step: 'completed', next: ['completed'] },
  skip: { job: 'completed', step: 'skipped', next: ['skipped'] },
  cancel: { job: 'cancelled', step: 'cancelled', next: over },
  fail: { job: 'failed', step: 'failed', next: over },
  flaky: { job: 'completed', step: 'completed', next: ['completed'] },
}

for (const [deed, expected] of Object.entries(outcomes)) {
  const isOver = expected.job !== 'completed'

  test(`in a line, ${deed} leaves the run ${expected.job}`, async () => {
    await client.publish(`line-${deed}`, {
      steps: {
        it: act(deed, { retry: quick, config: { log } }),
        next: act('echo', { after: ['it'], config: { log } }),
      },
    })
    const job = await client.run(`line-${deed}`, 'x')
    assert.deepEqual([job.status, job.steps.it?.status], [expected.job, expected.step])
    const next = job.steps.next?.status ?? ''
    assert.ok(expected.next.includes(next), `the next step is ${next}`)
    assert.deepEqual(startedSteps(log, job.id), next === 'completed' ? ['it', 'next'] : ['it'])
    assert.equal(job.steps.it?.attempts, deed === 'flaky' ? 2 : 1)
    assert.equal(job.error?.code ?? null, deed === 'fail' ? 'broken' : null)
  })

  test(`of one element of a fan-out, ${deed} leaves the run ${expected.job}`, async () => {
    await client.publish(`fan-${deed}`, {
      steps: {
        split: act('echo', {}),
        it: act('echo', { after: [{ step: 'split', each: true }], retry: quick }),
        next: act('count', { after: [{ step: 'it', gather: true }], config: { log } }),
      },
    })
    const job = await client.run(`fan-${deed}`, [{ n: 0 }, { do: deed, n: 1 }, { n: 2 }])
    assert.equal(job.status, expected.job)
    assert.equal(job.steps.it?.items?.total, 3)
    if (deed === 'fail') assert.deepEqual(startedSteps(log, job.id), [])
    // The elements beside a cancelled one may be gathered before the fence is there.
    if (isOver) return
    const { items, manifest } = job.result as { items: number; manifest: { missing: unknown } }
    assert.equal(items, deed === 'skip' ? 2 : 3)
    assert.deepEqual(manifest.missing, deed === 'skip' ? [{ item: '1', reason: 'skipped' }] : [])
    const counts = job.steps.it?.items
    assert.deepEqual([counts?.completed, counts?.skipped], deed === 'skip' ? [2, 1] : [3, 0])
  })

  test(`of one branch of a join, ${deed} leaves the run ${expected.job}`, async () => {
    await client.publish(`join-${deed}`, {
      steps: {
        it: act(deed, { retry: quick }),
        other: act('echo'),
        next: act('join', { after: ['it', 'other'], config: { log } }),
      },
    })
    const job = await client.run(`join-${deed}`, 'x')
    assert.deepEqual([job.status, job.steps.it?.status], [expected.job, expected.step])
    if (deed === 'fail') assert.deepEqual(startedSteps(log, job.id), [])
    // The branch beside a cancelled one may be joined before the fence is there.
    if (isOver) return
    const { missing } = job.result as { missing: unknown }
    assert.deepEqual(missing, deed === 'skip' ? [{ name: 'it', reason: 'skipped' }] : [])
  })
}

/** Seven steps: `bad` fails, `slow` beside it goes on, `meet` joins both sides, `free` does not. */
const fixture = (onFailure: string) => ({
  onFailure,
  steps: {
    start: act('echo', { config: { log } }),
    bad: act('fail', { after: ['start'], config: { log, ms: 300 } }),
    after_bad: act('echo', { after: ['bad'], config: { log } }),
    slow: act('slow', { after: ['start'], config: { log, ms: 1_500 } }),
    after_slow: act('echo', { after: ['slow'], config: { log } }),
    meet: act('join', { after: ['after_bad', 'after_slow'], config: { log } }),
    free: act('echo', { after: ['slow'], config: { log } }),
  },
})

const modes: Readonly<Record<string, { status: string; runs: string[]; meet: string }>> = {
  fail_fast: { status: 'failed', runs: ['bad', 'slow', 'start'], meet: 'cancelled' },
  continue: {
    status: 'completed_with_failures',
    runs: ['after_slow', 'bad', 'free', 'slow', 'start'],
    meet: 'skipped',
  },
  best_effort: {
    status: 'completed_with_failures',
    runs: ['after_slow', 'bad', 'free', 'meet', 'slow', 'start'],
    meet: 'completed',
  },
}

for (const [mode, { status, runs, meet }] of Object.entries(modes)) {
  test(`under ${mode} a failure of one of seven steps lets exactly ${runs.length} run`, async () => {
    const name = `mode-${mode.replace('_', '-')}`
    await client.publish(name, fixture(mode))
    const job = await client.run(name, 'x')
    assert.equal(job.status, status)
    assert.deepEqual(startedSteps(log, job.id), runs)
    assert.equal(job.steps.meet?.status, meet)
    assert.equal(job.steps.bad?.error?.code, 'broken')
    if (mode !== 'best_effort') return
    const { missing } = (job.steps.meet?.output ?? {}) as { missing: unknown }
    assert.deepEqual(missing, [{ name: 'after_bad', reason: 'failed' }])
  })
}

test('a failed job still shows the outputs of what had completed', async () => {
  await client.publish('partial', {
    steps: {
      a: act('add'),
      b: act('fail', { after: ['a'], config: { ms: 800 } }),
      c: act('double', { after: ['a'] }),
    },
  })
  const job = await client.run('partial', 20)
  assert.equal(job.status, 'failed')
  assert.equal(job.steps.a?.output, 21)
  assert.equal(job.steps.c?.output, 42)
  assert.equal(job.error?.step, 'b')
})

test('attempts are exactly as many as configured, with the backoff between them', async () => {
  const retry = { attempts: 5, baseMs: 250, backoff: 'constant', jitter: 'none' } as const
  await client.publish('retried', {
    steps: { only: act('flaky', { retry, config: { failures: 4, log } }) },
  })
  const done = await client.run('retried', 'x')
  assert.deepEqual([done.status, done.steps.only?.attempts], ['completed', 5])
  const lines = readNoted(log, done.id)
  assert.deepEqual(
    lines.map(({ attempt }) => attempt),
    [1, 2, 3, 4, 5],
  )
  for (const [at, line] of lines.entries()) {
    if (at > 0) assert.ok(waitedMs(lines[at - 1]?.at, line.at) >= 245, 'an attempt came too early')
  }
  assert.equal(new Set(lines.map(({ idempotencyKey }) => idempotencyKey)).size, 1)

  await client.publish('given-up', {
    steps: { only: act('flaky', { retry: quick, config: { failures: 99, log } }) },
  })
  const failed = await client.run('given-up', 'x')
  assert.equal(failed.status, 'failed')
  assert.deepEqual(
    [failed.error?.code, failed.error?.class, failed.error?.attempts],
    ['flaky', 'transient', 3],
  )
  assert.equal(readNoted(log, failed.id).length, 3)
  const events = await client.events(failed.id)
  assert.equal(events.filter(({ type }) => type === 'task.retry_scheduled').length, 2)
})

test('a stage may say when to try again, and a job that waits for it says so', async () => {
  await client.publish('later', {
    steps: { only: act('flaky', { retry: quick, config: { retryAfterMs: 2_000, log } }) },
  })
  const { id } = await client.submit('later', 'x')
  await until('the job to wait for its retry', async () => {
    const { waitingFor } = await client.job(id)
    return waitingFor?.kind === 'retry'
  })
  const job = await client.ended(id)
  assert.equal(job.status, 'completed')
  const [first, second] = readNoted(log, id)
  assert.ok(waitedMs(first?.at, second?.at) >= 1_990)
})

test('a timeout aborts the handler, runs its cleanups, and is tried again', async () => {
  await client.publish('timed-out', {
    steps: {
      only: act('careful', {
        timeoutMs: 300,
        retry: { ...quick, attempts: 2 },
        config: { ms: 20_000, log },
      }),
    },
  })
  const job = await client.run('timed-out', 'x')
  assert.equal(job.status, 'failed')
  assert.equal(job.error?.attempts, 2)
  assert.equal(job.error?.class, 'transient')
  const cleanups = ['cleanup third', 'cleanup second', 'cleanup first']
  assert.deepEqual(
    readNoted(log, job.id).map(({ what, attempt }) => `${attempt} ${what}`),
    [1, 2].flatMap((attempt) => ['start', ...cleanups].map((what) => `${attempt} ${what}`)),
  )
})

test('a handler that does not listen is left behind, and its late result counts for nothing', async () => {
  await client.publish('stubborn', {
    steps: {
      only: act('stubborn', { timeoutMs: 200, ...once, config: { ms: 4_000 } }),
      next: act('echo', { after: ['only'], config: { log } }),
    },
  })
  const job = await client.run('stubborn', 'x')
  assert.equal(job.status, 'failed')
  const events = await client.events(job.id)
  const other = await client.run('line-echo', 'x')
  assert.equal(other.status, 'completed')
  // Its handler has returned by now.
  const endsAt = Date.parse(job.submittedAt) + 5_000
  await until('the late result', () => Date.now() > endsAt)
  assert.deepEqual(await client.events(job.id), events)
  assert.deepEqual(startedSteps(log, job.id), [])
})

test('under fail_fast siblings are aborted and cleaned up, and nothing starts 3 s later', async () => {
  const elements = Array.from({ length: 200 }, (_, index) =>
    index === 150 ? { do: 'fail', ms: 100 } : { do: 'careful', ms: index < 30 ? 60_000 : 200 },
  )
  await client.publish('abort', {
    steps: {
      split: act('echo'),
      it: act('echo', { after: [{ step: 'split', each: true }], config: { log } }),
      next: act('echo', { after: ['it'], config: { log } }),
      all: act('count', { after: [{ step: 'next', gather: true }], config: { log } }),
    },
  })
  const { id } = await client.submit('abort', elements)
  const job = await client.ended(id, 20_000)
  assert.equal(job.status, 'failed')
  assert.equal(job.error?.item, '150')
  const lines = readNoted(log, id)
  const failedAt = Date.parse(
    (await client.events(id)).find(({ type }) => type === 'task.failed')?.at ?? '',
  )
  const late = lines.filter(({ what, at }) => what === 'start' && at > failedAt + 3_000)
  assert.deepEqual(late, [])
  assert.equal(lines.filter(({ step }) => step === 'all').length, 0)
  const careful = lines.filter(({ what, item }) => what === 'start' && item !== '150')
  for (const { item, step } of careful.filter(({ step }) => step === 'it')) {
    const own = lines.filter((line) => line.item === item && line.step === step)
    const cleanups = own.filter(({ what }) => what.startsWith('cleanup'))
    assert.equal(cleanups.length, 3, `element ${item} has ${cleanups.length} cleanups`)
  }
})

test('a job past its deadline fails with it, and what runs is aborted', async () => {
  await client.publish('patient', {
    steps: { only: act('careful', { config: { ms: 60_000, log } }) },
  })
  const { id } = await client.submit('patient', 'x', { deadlineMs: 1_000 })
  const job = await client.ended(id, 15_000)
  assert.equal(job.status, 'failed')
  assert.equal(job.error?.class, 'deadline')
  await until('the cleanups', () => readNoted(log, id).length >= 4)
  assert.equal(readNoted(log, id).filter(({ what }) => what === 'done').length, 0)
})

test('what breaks a contract on either side is a contract error, at once and for good', async () => {
  await client.publish('contracts', {
    steps: {
      first: act('echo'),
      strict: { stage: 'strict@1', after: ['first'] },
      last: act('echo', { after: ['strict'] }),
    },
  })
  const good = await client.run('contracts', { n: 1, extra: 'is no harm' })
  assert.deepEqual([good.status, good.result], ['completed', { n: 2, by: '1.0.0' }])
  for (const input of [{ n: 'one' }, {}, 'n', { n: -1 }]) {
    const job = await client.run('contracts', input)
    assert.equal(job.status, 'failed', JSON.stringify(input))
    assert.deepEqual(
      [job.error?.class, job.error?.step, job.error?.attempts],
      ['contract', 'strict', 1],
    )
    // Which member it was, and never the value: messages are for logs too.
    if (typeof input === 'object') assert.match(job.error?.message ?? '', /\bn\b/)
  }
})

test('what is no outcome, a changed input and an undeclared one never pass for success', async () => {
  await client.publish('odd', {
    onFailure: 'continue',
    steps: {
      start: act('echo'),
      nonsense: act('nonsense', { after: ['start'] }),
      mutate: act('mutate', { after: ['start'], ...once }),
      other: act('echo', { after: ['start'] }),
      peek: act('peek', { after: ['start', 'other'] }),
    },
  })
  const job = await client.run('odd', { value: 1 })
  assert.equal(job.status, 'failed')
  assert.equal(job.steps.nonsense?.error?.class, 'contract')
  assert.equal(job.steps.mutate?.status, 'failed')
  assert.equal(job.steps.peek?.error?.code, 'undeclared_input')
  assert.deepEqual(job.steps.other?.output, { value: 1 })
})

test('an input that breaks the pipeline’s own contract is refused at the door', async () => {
  await client.publish('typed', {
    input: { type: 'object', required: ['n'], properties: { n: { type: 'integer' } } },
    steps: { only: act('echo') },
  })
  const refused = await client.send('POST', '/v1/pipelines/typed/jobs', { body: { input: {} } })
  assert.deepEqual([refused.status, refused.body.code], [422, 'invalid_input'])
  assert.ok((refused.body.errors?.length ?? 0) > 0)
  const { status } = await client.run('typed', { n: 1 })
  assert.equal(status, 'completed')
})

test('records that are delivered twice are done once, and counted', async () => {
  await client.publish('doubled', {
    steps: {
      split: act('range', { config: { n: 10, log } }),
      it: act('double', { after: [{ step: 'split', each: true }], config: { log } }),
      all: act('sum', { after: [{ step: 'it', gather: true }], config: { log } }),
    },
  })
  const ids = await client.submitBatch('doubled', Array(50).fill(0))
  await client.allEnded(ids)
  const topic = system.topics.input('act@1', 'normal')
  const ours = (await system.read(topic)).filter(({ headers }) =>
    ids.includes(headers['weir-job'] ?? ''),
  )
  const before = { lines: readNoted(log).length, events: await client.events(ids[0] as string) }
  const suppressed = async () => {
    const records = await system.read(system.topics.registry)
    const latest = new Map(records.map(({ key, value }) => [key?.toString(), value?.toString()]))
    const ofAct = [...latest.values()]
      .map((value) => JSON.parse(value ?? '{}') as Partial<InstanceRecord>)
      .find(({ stage }) => stage === 'act@1')
    return ofAct?.counters?.duplicatesSuppressed ?? Number.NaN
  }
  const counted = await suppressed()
  const edges = ours.filter(({ headers }) => {
    const { kind } = JSON.parse(headers['weir-meta'] ?? '{}') as { kind?: string }
    return kind === 'data'
  })
  // The first messages, the elements, and what goes to the gathers.
  assert.equal(edges.length, 50 * (1 + 10 + 10))
  const producer = createProducer({ kafka: system.kafka })
  try {
    await producer.connect()
    await producer.send(
      edges.map(({ partition, key, value, headers }) => ({
        topic,
        partition,
        key,
        value,
        headers,
      })),
    )
  } finally {
    await producer.disconnect()
  }
  await until(
    'the duplicates to be counted',
    async () => (await suppressed()) >= counted + edges.length,
  )
  assert.equal(await suppressed(), counted + edges.length)
  assert.equal(readNoted(log).length, before.lines, 'nothing has run again')
  assert.deepEqual(await client.events(ids[0] as string), before.events)
})
