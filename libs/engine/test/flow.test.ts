import assert from 'node:assert/strict'
import { test } from 'node:test'
import { limits } from '@weir/contracts'
import { defineStage, Permanent, type StageContext, Transient } from '@weir/sdk'
import { openInstallation, until } from './support.ts'

const split = defineStage({
  name: 'split',
  version: '1.0.0',
  run: (input) => (input as { numbers: number[] }).numbers,
})
const square = defineStage({
  name: 'square',
  version: '1.0.0',
  run: (input) => (input as number) ** 2,
})
const sum = defineStage({
  name: 'sum',
  version: '1.0.0',
  run: (input, ctx) => ({
    sum: (input as number[]).reduce((a, b) => a + b, 0),
    total: ctx.manifest?.total,
  }),
})

const fanOut = {
  steps: {
    split: { stage: 'split@1' },
    square: { stage: 'square@1', after: [{ step: 'split', each: true }] },
    sum: { stage: 'sum@1', after: [{ step: 'square', gather: true }] },
  },
}

test('a fan-out reaches every item, and its gather gets all results in item order', async (t) => {
  const weir = await openInstallation(t, [split, square, sum])
  const plan = await weir.publish(fanOut)
  await weir.ready(weir.start(split), weir.start(square), weir.start(sum))
  const numbers = Array.from({ length: 700 }, (_, n) => n)
  const job = await weir.submit(plan, { numbers })
  const empty = await weir.submit(plan, { numbers: [] })
  const [result] = await weir.untilReported(job, 'sum')
  const expected = numbers.reduce((total, n) => total + n * n, 0)
  assert.equal(result?.output, JSON.stringify({ sum: expected, total: 700 }))
  const items = new Set(weir.reportsOf(job, 'square').map(({ item }) => item))
  assert.equal(items.size, 700)
  const [splitReport] = weir.reportsOf(job, 'split')
  assert.deepEqual(splitReport?.fanOut, { marker: 'items', count: 700 })
  const [ofEmpty] = await weir.untilReported(empty, 'sum')
  assert.equal(ofEmpty?.output, '{"sum":0,"total":0}')
  assert.equal(weir.reportsOf(empty, 'square').length, 0)
})

const source = defineStage({ name: 'source', version: '1.0.0', run: (input) => input })
const gates = new Map<string, PromiseWithResolvers<void>>()
const branch = defineStage({
  name: 'branch',
  version: '1.0.0',
  async run(input, ctx) {
    await gates.get(`${ctx.job}/${ctx.step}`)?.promise
    return { ...(input as object), by: ctx.step }
  },
})
const views: StageContext['join'][] = []
const meet = defineStage({
  name: 'meet',
  version: '1.0.0',
  run(input, ctx) {
    views.push(ctx.join)
    return Object.keys(input as object).sort()
  },
})
const diamond = (policy: 'all' | 'any') => ({
  steps: {
    source: { stage: 'source@1' },
    left: { stage: 'branch@1', after: ['source'] },
    right: { stage: 'branch@1', after: ['source'] },
    meet: { stage: 'meet@1', after: ['left', 'right'], join: { policy } },
  },
})

test('a join of all waits for both branches, one of any fires at the first and counts the late part', async (t) => {
  const weir = await openInstallation(t, [source, branch, meet])
  const all = await weir.publish(diamond('all'))
  const any = await weir.publish(diamond('any'))
  const joining = weir.start(meet)
  await weir.ready(weir.start(source), weir.start(branch), joining)
  const first = await weir.submit(all, { n: 1 })
  const [both] = await weir.untilReported(first, 'meet')
  assert.equal(both?.output, '["left","right"]')

  const { job, records } = weir.firstMessages(any, { n: 2 })
  const held = Promise.withResolvers<void>()
  gates.set(`${job}/right`, held)
  await weir.producer.send(records)
  const [early] = await weir.untilReported(job, 'meet')
  assert.equal(early?.output, '["left"]')
  assert.deepEqual(
    early?.missing?.map(([edge]) => any.edges[edge]?.from),
    ['right'],
  )
  assert.deepEqual(views.at(-1)?.missing, [{ name: 'right', reason: 'not_waited_for' }])
  held.resolve()
  await weir.untilReported(job, 'right')
  await until('the late part', () => joining.counters.late === 1)
  assert.equal(weir.reportsOf(job, 'meet').length, 1)
})

let failures = 0
const flaky = defineStage({
  name: 'flaky',
  version: '1.0.0',
  retry: { attempts: 3, baseMs: 50, jitter: 'none' },
  run(_input, ctx) {
    if (ctx.attempt < 3) throw new Transient('busy', 'try again')
    failures = ctx.attempt - 1
    return { attempt: ctx.attempt, key: ctx.idempotencyKey }
  },
})
const broken = defineStage({
  name: 'broken',
  version: '1.0.0',
  run() {
    throw new Permanent('no_such_thing', 'never')
  },
})

test('a task that fails is tried again by its policy, each attempt reported', async (t) => {
  const weir = await openInstallation(t, [flaky])
  const plan = await weir.publish({ steps: { flaky: { stage: 'flaky@1' } } })
  await weir.ready(weir.start(flaky))
  const job = await weir.submit(plan, {})
  const reports = await weir.untilReported(job, 'flaky')
  assert.deepEqual(
    reports.map(({ status, attempt }) => [status, attempt]),
    [
      ['retry', 1],
      ['retry', 2],
      ['completed', 3],
    ],
  )
  assert.equal(reports[0]?.error?.code, 'busy')
  assert.equal(failures, 2)
})

test('a task that fails for good becomes a dead letter that holds its message', async (t) => {
  const weir = await openInstallation(t, [broken])
  const plan = await weir.publish({ steps: { broken: { stage: 'broken@1' } } })
  await weir.ready(weir.start(broken))
  const job = await weir.submit(plan, { precious: true })
  const [report] = await weir.untilReported(job, 'broken')
  assert.equal(report?.status, 'failed')
  assert.equal(report?.error?.code, 'no_such_thing')
  await until('the dead letter', () => weir.deadLetters.length === 1)
  const [letter] = weir.deadLetters
  assert.equal(String(letter?.value), '{"precious":true}')
  assert.equal(letter?.headers['weir-reason'], 'no_such_thing')
  assert.equal(letter?.headers['weir-job'], job)
})

const large = defineStage({
  name: 'large',
  version: '1.0.0',
  run: () => 'x'.repeat(limits.inlineOutputBytes + 1),
})

test('an output too large for the log travels in a record of its own', async (t) => {
  const weir = await openInstallation(t, [large])
  const plan = await weir.publish({ steps: { large: { stage: 'large@1' } } })
  await weir.ready(weir.start(large))
  const job = await weir.submit(plan, {})
  const [report] = await weir.untilReported(job, 'large')
  assert.equal(report?.output, undefined)
  assert.equal(report?.outputBytes, limits.inlineOutputBytes + 3)
  await until('the payload', () => weir.payloads.length === 1)
  assert.equal(weir.payloads[0]?.headers['weir-digest'], report?.digest)
  assert.equal(weir.payloads[0]?.headers['weir-job'], job)
  assert.equal(weir.payloads[0]?.value?.length, report?.outputBytes)
})

const sizes: number[] = []
const bulk = defineStage({
  name: 'bulk',
  version: '1.0.0',
  batch: { max: 10, waitMs: 50 },
  runBatch(inputs) {
    sizes.push(inputs.length)
    return inputs.map((input) => ({ got: (input as { n: number }).n }))
  },
})

test('a batch stage gets messages of one tenant together, one outcome each', async (t) => {
  const weir = await openInstallation(t, [bulk])
  const plan = await weir.publish({ steps: { bulk: { stage: 'bulk@1' } } })
  await weir.ready(weir.start(bulk))
  const jobs = await Promise.all(
    Array.from({ length: 25 }, (_, n) => weir.submit(plan, { n }, { priority: 100 })),
  )
  await until('all reports', () => weir.reports.length >= 25)
  for (const [n, job] of jobs.entries()) {
    assert.equal(weir.reportsOf(job, 'bulk')[0]?.output, `{"got":${n}}`)
  }
  assert.equal(
    sizes.reduce((a, b) => a + b, 0),
    25,
  )
  assert.ok(sizes.length < 25, `batches of ${sizes.join(', ')}`)
  assert.ok(Math.max(...sizes) <= 10)
})

const long = defineStage({
  name: 'long',
  version: '1.0.0',
  run: () => new Promise((resolve) => setTimeout(resolve, 1_300, {})),
})

test('a task that runs for more than a second is reported as started', async (t) => {
  const weir = await openInstallation(t, [long])
  const plan = await weir.publish({ steps: { long: { stage: 'long@1' } } })
  await weir.ready(weir.start(long))
  const job = await weir.submit(plan, {})
  await until('its end', () => weir.reportsOf(job).some(({ status }) => status === 'completed'))
  assert.deepEqual(
    weir.reportsOf(job).map(({ status }) => status),
    ['started', 'completed'],
  )
})
