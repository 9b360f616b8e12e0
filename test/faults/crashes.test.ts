import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { canonicalJson } from '@weir/contracts'
import { act } from '../support/act-step.ts'
import type { Job } from '../support/api-client.ts'
import { startSystem } from '../support/system.ts'
import { until } from '../support/until.ts'

/** Jobs of a round: one kill in the middle of each. */
const JOBS = Number(process.env.WEIR_CRASH_JOBS || 800)
const ROUND_MS = 300_000

const system = await startSystem({
  stages: ['cut', 'left', 'right', 'meet'].map((name) => ({ name, file: 'act' })),
})
after(() => system.stop())
const { client } = await system.tenant('crashes', {
  submitRatePerSecond: 100_000,
  submitBurst: 100_000,
})

// So that most of a round still waits in the queue when the first jobs have ended.
await system.operator.call('PUT', '/v1/stages/cut@1', { body: { inFlightMax: 50 } })

const on = (stage: string) => ({ stage: `${stage}@1` })
await client.publish('woven', {
  steps: {
    cut: act('range', on('cut')),
    copy: act('echo', on('right')),
    each: act('double', { ...on('left'), after: [{ step: 'cut', each: true }] }),
    again: act('add', { ...on('right'), after: ['each'] }),
    all: act('echo', { ...on('meet'), after: [{ step: 'again', gather: true }] }),
    end: act('join', { ...on('meet'), after: ['copy', 'all'] }),
  },
})

/** Between none and fourteen elements. */
const inputs = Array.from({ length: JOBS }, (_, index) => index % 15)
const resultOf = (input: number) => ({
  inputs: { copy: input, all: Array.from({ length: input }, (_, index) => index * 2 + 1) },
  missing: [],
})

/** What is told of a job apart from when and how often it was tried. */
function essence({ status, result, steps, error }: Job): string {
  const ends = Object.entries(steps).map(([name, { status, output, items, diverged }]) => ({
    ...{ name, status, output, items, diverged: diverged ?? false },
  }))
  return canonicalJson({ status, result, ends, error })
}

async function assertWholeLogs(jobs: readonly Job[]): Promise<void> {
  for (const job of jobs.filter((_, index) => index % 25 === 0)) {
    const events = await client.events(job.id)
    assert.deepEqual(
      events.map(({ seq }) => seq),
      events.map((_, index) => index + 1),
    )
    assert.equal(events.at(-1)?.type, 'job.completed')
    const decided = events
      .filter(({ type }) => type === 'task.completed' || type === 'task.skipped')
      .map(({ step, item }) => `${step}[${item ?? ''}]`)
    assert.equal(new Set(decided).size, decided.length, 'a task was decided twice')
  }
}

const undisturbed = await client.allEnded(await client.submitBatch('woven', inputs), ROUND_MS)

test('undisturbed, every job has its own result', async () => {
  assert.deepEqual(
    undisturbed.map(({ result }) => result),
    inputs.map(resultOf),
  )
  await assertWholeLogs(undisturbed)
})

/** Some jobs have ended and others have not: a crash now finds work at every point of its way. */
async function isInTheMiddle(round: string): Promise<boolean> {
  const has = async (status: string) => {
    const path = `/v1/jobs?tag.round=${round}&status=${status}&limit=1`
    return (await client.get<{ jobs: readonly Job[] }>(path)).jobs.length > 0
  }
  const [hasEnded, isQueued] = await Promise.all([has('completed'), has('queued')])
  if (hasEnded) assert.ok(isQueued, 'all work was done before the crash')
  return hasEnded
}

async function assertAsUndisturbed(round: string, ids: readonly string[]): Promise<void> {
  const jobs = await client.allEnded(ids, ROUND_MS)
  assert.deepEqual(jobs.map(essence), undisturbed.map(essence))
  await assertWholeLogs(jobs)
  let count = 0
  let cursor = ''
  do {
    const page = await client.get<{ jobs: readonly Job[]; nextCursor?: string }>(
      `/v1/jobs?tag.round=${round}&limit=500${cursor}`,
    )
    count += page.jobs.length
    cursor = page.nextCursor === undefined ? '' : `&cursor=${encodeURIComponent(page.nextCursor)}`
  } while (cursor !== '')
  assert.equal(count, inputs.length, 'as many jobs as were submitted')
}

for (const victim of ['cut', 'left', 'right', 'meet', 'ledger', 'dispatcher', 'kafka']) {
  test(`${victim} is killed in the middle: every job ends as if it had not been`, async () => {
    const ids = await client.submitBatch('woven', inputs, { tags: { round: victim } })
    await until('the middle of the round', () => isInTheMiddle(victim), ROUND_MS)
    await system.kill(victim)
    await assertAsUndisturbed(victim, ids)
  })
}

test('control is killed among the submits: what it accepted ends, what it did not was never there', async () => {
  const ids: string[] = []
  let answered = 0
  const submit = async (at: number) => {
    const headers = { 'idempotency-key': `control-${at}` }
    const body = { input: inputs[at], tags: { round: 'control' } }
    // Without an answer nobody knows: the same key again is the same job.
    const { id } = await until('an answer to a submit', () =>
      client.call<Job>('POST', '/v1/pipelines/woven/jobs', { body, headers }),
    )
    ids[at] = id
    answered += 1
  }
  const waiting = [...inputs.keys()]
  const submitAll = async () => {
    for (let at = waiting.shift(); at !== undefined; at = waiting.shift()) await submit(at)
  }
  const submits = Promise.all(Array.from({ length: 8 }, submitAll))
  await until('a third of the answers', () => answered > JOBS / 3, ROUND_MS)
  await system.kill('control')
  await submits
  await assertAsUndisturbed('control', ids)
})

test('after all that nothing was put aside', async () => {
  const letters = await system.read(system.topics.deadLetters)
  assert.deepEqual(
    letters.map(({ headers }) => headers['weir-reason']),
    [],
  )
})
