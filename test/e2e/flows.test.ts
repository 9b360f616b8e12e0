import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { act, once } from '../support/act-step.ts'
import type { Job } from '../support/api-client.ts'
import { readNoted, startedSteps } from '../support/noted.ts'
import { startSystem } from '../support/system.ts'

const system = await startSystem({
  stages: [{ name: 'act' }, { name: 'route' }],
  demoStages: ['normalise', 'mean'],
})
after(() => system.stop())
const { client } = await system.tenant('flows')

const helloFile = join(import.meta.dirname, '../../services/stages/pipelines/hello.yaml')
const log = system.file('flows.log')
const statuses = (job: Job) =>
  Object.fromEntries(Object.entries(job.steps).map(([name, step]) => [name, step.status]))
const startOf = (job: Job, step: string): number =>
  readNoted(log, job.id).find((noted) => noted.step === step)?.at ?? Number.NaN

test('the smallest pipeline: the mean of 1 to 5, normalised, is exactly 0.5', async () => {
  const text = { type: 'application/yaml', body: readFileSync(helloFile, 'utf8') }
  await client.call('PUT', '/v1/pipelines/hello', { text })
  const job = await client.run('hello', { values: [1, 2, 3, 4, 5] })
  assert.equal(job.status, 'completed')
  assert.equal(job.result, 0.5)
})

test('a constant input fails within 2 s, and the job names the stage and the code', async () => {
  const job = await client.run('hello', { values: [5, 5, 5] })
  assert.equal(job.status, 'failed')
  assert.equal(job.error?.code, 'constant_input')
  assert.equal(job.error?.step, 'normalise')
  assert.equal(job.steps.normalise?.stage, 'normalise@1')
  const tookMs = Date.parse(job.finishedAt ?? '') - Date.parse(job.submittedAt)
  assert.ok(tookMs <= 2_000, `it took ${tookMs} ms`)
})

test('a submit that waits is answered with the ended job, or with 202 when its time is up', async () => {
  await client.publish('line', {
    steps: { one: act('add'), two: act('double', { after: ['one'] }) },
  })
  const path = '/v1/pipelines/line/jobs'
  const now = await client.send<Job>('POST', `${path}?wait=20000`, { body: { input: 1 } })
  assert.equal(now.status, 200)
  assert.equal(now.body.result, 4)

  await client.publish('slow', { steps: { only: act('slow', { config: { ms: 1_500 } }) } })
  const later = await client.send<Job>('POST', '/v1/pipelines/slow/jobs?wait=100', {
    body: { input: 'x' },
  })
  assert.equal(later.status, 202)
  assert.equal(later.headers.get('location'), `/v1/jobs/${later.body.id}`)
  assert.ok(['queued', 'running'].includes(later.body.status))
  const ended = await client.ended(later.body.id)
  assert.deepEqual([ended.status, ended.result], ['completed', 'x'])
})

test('a fan-out of 500 meets again in order, each element once', async () => {
  await client.publish('wide', {
    steps: {
      split: act('range'),
      each: act('double', { after: [{ step: 'split', each: true }], config: { log } }),
      all: act('echo', { after: [{ step: 'each', gather: true }] }),
    },
  })
  const job = await client.run('wide', 500)
  assert.equal(job.status, 'completed')
  assert.deepEqual(
    job.result,
    Array.from({ length: 500 }, (_, index) => index * 2),
  )
  const { total, completed, skipped, failed } = job.steps.each?.items ?? {}
  assert.deepEqual([total, completed, skipped, failed], [500, 500, 0, 0])
  assert.equal(readNoted(log, job.id).length, 500)
  const events = await client.events(job.id)
  const gathers = events.filter(({ type, step }) => type === 'task.completed' && step === 'all')
  assert.equal(gathers.length, 1)
})

test('fan-outs nest: an array of arrays is doubled element by element and summed twice', async () => {
  await client.publish('nested', {
    steps: {
      rows: act('grid', { config: { n: 4 } }),
      row: act('echo', { after: [{ step: 'rows', each: true, maxItems: 20 }] }),
      cell: act('double', { after: [{ step: 'row', each: true, maxItems: 20 }] }),
      row_sum: act('sum', { after: [{ step: 'cell', gather: true }] }),
      sum: act('sum', { after: [{ step: 'row_sum', gather: true }] }),
    },
  })
  const job = await client.run('nested', 5)
  assert.deepEqual([job.status, job.result], ['completed', 5 * (0 + 2 + 4 + 6)])
  assert.equal(job.steps.cell?.items?.total, 20)
  assert.equal(job.steps.row_sum?.items?.total, 5)
})

test('a fan-out over nothing skips what is inside and gathers an empty array', async () => {
  const job = await client.run('wide', 0)
  assert.equal(job.status, 'completed')
  assert.deepEqual(job.result, [])
  assert.equal(job.steps.each?.status, 'skipped')
  assert.deepEqual(readNoted(log, job.id), [])

  const nested = await client.run('nested', 0)
  assert.deepEqual([nested.status, nested.result], ['completed', 0])
})

test('an empty array is an input and an output like any other', async () => {
  await client.publish('echo', {
    steps: { first: act('echo'), last: act('echo', { after: ['first'] }) },
  })
  for (const value of [[], {}, '', 0, false, null]) {
    const job = await client.run('echo', value)
    assert.equal(job.status, 'completed')
    assert.deepEqual(job.result, value)
  }
})

test('two branches run at the same time, and their join has both under their names', async () => {
  const slow = { after: ['start'], config: { ms: 500, log } }
  await client.publish('diamond', {
    steps: {
      start: act('echo'),
      left: act('slow', slow),
      right: act('slow', slow),
      both: act('join', { after: ['left', { step: 'right', as: 'other' }], config: { log } }),
    },
  })
  const job = await client.run('diamond', 7)
  assert.equal(job.status, 'completed')
  assert.deepEqual(job.result, { inputs: { left: 7, other: 7 }, missing: [] })
  const apartMs = Math.abs(startOf(job, 'left') - startOf(job, 'right'))
  assert.ok(apartMs < 400, `they started ${apartMs} ms apart`)
})

test('a join of any fires with the first input and does not wait for the other', async () => {
  await client.publish('any', {
    steps: {
      fast: act('slow', { config: { ms: 50 } }),
      late: act('slow', { config: { ms: 8_000 } }),
      first: act('join', { after: ['fast', 'late'], join: { policy: 'any' } }),
    },
  })
  const job = await client.run('any', 1)
  assert.equal(job.status, 'completed')
  assert.deepEqual((job.result as { inputs: unknown }).inputs, { fast: 1 })
  assert.equal(job.steps.late?.status, 'cancelled')
  const tookMs = Date.parse(job.finishedAt ?? '') - Date.parse(job.submittedAt)
  assert.ok(tookMs < 7_000, `it took ${tookMs} ms`)
})

test('a quorum fires with two of three, and fails when two cannot come', async () => {
  const quorum = (deeds: readonly string[]) => ({
    onFailure: 'best_effort',
    steps: {
      a: act(deeds[0] as string, { config: { ms: 50 } }),
      b: act(deeds[1] as string, { config: { ms: 8_000 } }),
      c: act(deeds[2] as string, { config: { ms: 50 } }),
      two: act('join', { after: ['a', 'b', 'c'], join: { policy: 'quorum', n: 2 } }),
    },
  })
  await client.publish('quorum', quorum(['slow', 'slow', 'slow']))
  const met = await client.run('quorum', 1)
  assert.equal(met.status, 'completed')
  assert.deepEqual((met.result as { inputs: unknown }).inputs, { a: 1, c: 1 })

  await client.publish('quorum-missed', quorum(['echo', 'fail', 'fail']))
  const missed = await client.run('quorum-missed', 1)
  assert.equal(missed.steps.two?.status, 'failed')
  assert.equal(missed.steps.two?.error?.code, 'join_unsatisfied')
  assert.equal(missed.status, 'failed')
})

test('a join whose time is up fails, or runs on what is there and says what is missing', async () => {
  const timed = (onTimeout: 'fail' | 'partial') => ({
    steps: {
      fast: act('echo'),
      late: act('slow', { config: { ms: 6_000 } }),
      both: act('join', { after: ['fast', 'late'], join: { timeoutMs: 700, onTimeout } }),
    },
  })
  await client.publish('timed-partial', timed('partial'))
  const partial = await client.run('timed-partial', 1)
  assert.equal(partial.steps.both?.status, 'completed')
  const { inputs, missing } = partial.result as {
    inputs: unknown
    missing: readonly { name: string; reason: string }[]
  }
  assert.deepEqual(inputs, { fast: 1 })
  assert.deepEqual(missing, [{ name: 'late', reason: 'timeout' }])

  await client.publish('timed-fail', timed('fail'))
  const failed = await client.run('timed-fail', 1)
  assert.equal(failed.status, 'failed')
  assert.equal(failed.error?.code, 'join_timeout')
  assert.equal(failed.error?.step, 'both')
})

test('a route takes the branches it names; the others are skipped and their join knows it', async () => {
  await client.publish('routed', {
    steps: {
      choose: { stage: 'route@1' },
      a: act('echo', { after: [{ step: 'choose', when: 'a' }], config: { log } }),
      b: act('echo', { after: [{ step: 'choose', when: 'b' }], config: { log } }),
      end: act('join', { after: ['a', 'b'], config: { log } }),
    },
  })
  const one = await client.run('routed', { to: ['b'], value: 5 })
  assert.equal(one.status, 'completed')
  assert.deepEqual(startedSteps(log, one.id), ['b', 'end'])
  assert.deepEqual(statuses(one), {
    choose: 'completed',
    a: 'skipped',
    b: 'completed',
    end: 'completed',
  })
  assert.deepEqual(one.result, { inputs: { b: 5 }, missing: [{ name: 'a', reason: 'skipped' }] })
  const events = await client.events(one.id)
  const skipped = events.find(({ type, step }) => type === 'task.skipped' && step === 'a')
  assert.ok(String(skipped?.data.reason ?? '').length > 0, 'the skip says why')

  const both = await client.run('routed', { to: ['a', 'b'], value: 6 })
  assert.deepEqual((both.result as { inputs: unknown }).inputs, { a: 6, b: 6 })

  const none = await client.run('routed', { to: [] })
  assert.equal(none.status, 'completed')
  assert.deepEqual(startedSteps(log, none.id), [])
  assert.equal(none.steps.end?.status, 'skipped')
})

test('a chain of a hundred steps completes', async () => {
  const names = Array.from({ length: 100 }, (_, index) => `s${index}`)
  const steps = Object.fromEntries(
    names.map((name, index) => [
      name,
      act('add', index === 0 ? {} : { after: [names[index - 1] as string] }),
    ]),
  )
  await client.publish('chain', { steps })
  const { id } = await client.submit('chain', 0)
  const job = await client.ended(id, 60_000)
  assert.deepEqual([job.status, job.result], ['completed', 100])
})

test('a run stays on its version, and a pipeline can be set back', async () => {
  const version = (n: number) => ({
    steps: {
      slow: act('slow', { config: { ms: 700 } }),
      add: act('add', { after: ['slow'], config: { n } }),
    },
  })
  const first = await client.publish('versions', version(1))
  const { id } = await client.submit('versions', 0)
  const second = await client.publish('versions', version(10))
  assert.notEqual(second, first)
  const before = await client.ended(id)
  assert.deepEqual([before.version, before.result], [first, 1])
  const current = await client.run('versions', 0)
  assert.deepEqual([current.version, current.result], [second, 10])
  const pinned = await client.run('versions', 0, { version: first })
  assert.deepEqual([pinned.version, pinned.result], [first, 1])
  await client.call('PUT', '/v1/pipelines/versions/current', { body: { version: first } })
  const back = await client.run('versions', 0)
  assert.deepEqual([back.version, back.result], [first, 1])
})

test('jobs of one ordering key run one after the other in the order of submission', async () => {
  await client.publish('ordered', {
    steps: { only: act('careful', { config: { ms: 150, log }, ...once }) },
  })
  const keys = ['x', 'y']
  const ids: Record<string, string[]> = { x: [], y: [] }
  for (let n = 0; n < 12; n += 1) {
    const key = keys[n % 2] as string
    const { id } = await client.submit('ordered', n, { orderingKey: key })
    ids[key]?.push(id)
  }
  await client.allEnded(Object.values(ids).flat())
  const noted = readNoted(log)
  const timeOf = (job: string, what: string) =>
    noted.find((line) => line.job === job && line.what === what)?.at ?? Number.NaN
  for (const key of keys) {
    for (const [at, id] of (ids[key] ?? []).entries()) {
      if (at === 0) continue
      const before = ids[key]?.[at - 1] as string
      assert.ok(timeOf(id, 'start') >= timeOf(before, 'done'), `${key}: job ${at} came too early`)
    }
  }
})
