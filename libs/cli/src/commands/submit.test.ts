import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { problem, type Seen, startServer } from '@weir/client/test-server'
import { makeFolder, runCli } from '../../test/support.ts'

const job = (status: string) => ({
  id: 'j1',
  pipeline: 'p',
  version: 1,
  run: 1,
  status,
  tags: {},
  submittedAt: '2026-01-01T00:00:00.000Z',
  dispatchedAt: null,
  finishedAt: null,
  error: null,
  waitingFor: null,
  result: null,
  steps: {},
})

const jobsIn = ({ body }: Seen) =>
  (JSON.parse(body) as { jobs: { input: unknown; [member: string]: unknown }[] }).jobs

const accept = (request: Seen) => {
  const jobs = jobsIn(request)
  return {
    status: 202,
    body: { accepted: jobs.length, ids: jobs.map(({ input }) => `id-${JSON.stringify(input)}`) },
  }
}

const lines = (count: number) =>
  Array.from({ length: count }, (_, at) => `${JSON.stringify({ input: at })}\n`).join('')

test('a job is submitted with all that its flags say, and its id alone is printed', async (t) => {
  const { baseUrl, requests } = await startServer(t, () => ({ status: 202, body: job('queued') }))
  const flags = ['--priority', '200', '--ordering-key', 'o', '--tag', 'a=b=c', '--tag', 'd=']
  const more = ['--deadline', '5000', '--correlation-id', 'c', '--pipeline-version', '2']
  const ran = await runCli([
    'submit',
    'p',
    '-d',
    '{"x":1}',
    '--api',
    baseUrl,
    '--idempotency-key',
    'k',
    ...flags,
    ...more,
  ])
  assert.deepEqual(ran, { status: 0, out: 'j1\n', err: '' })
  const [request] = requests
  assert.equal(request?.url, '/v1/pipelines/p/jobs')
  assert.equal(request?.headers['idempotency-key'], 'k')
  assert.deepEqual(JSON.parse(request?.body ?? ''), {
    input: { x: 1 },
    priority: 200,
    deadlineMs: 5000,
    orderingKey: 'o',
    correlationId: 'c',
    tags: { a: 'b=c', d: '' },
    version: 2,
  })
})

test('the input comes from a file, from stdin, or is null', async (t) => {
  const folder = makeFolder(t)
  writeFileSync(join(folder, 'in.json'), '[1]')
  const { baseUrl, requests } = await startServer(t, () => ({ status: 202, body: job('queued') }))
  const at = ['submit', 'p', '--api', baseUrl]
  await runCli([...at, '-d', '@in.json'], { cwd: folder })
  await runCli([...at, '-d', '-'], { stdin: '{"from":"stdin"}' })
  await runCli(at)
  const inputs = requests.map(({ body }) => JSON.parse(body).input)
  assert.deepEqual(inputs, [[1], { from: 'stdin' }, null])
})

test('waiting ends with how the job ended, and with 6 where it has not', async (t) => {
  const cases = [
    ['completed', [], 0],
    ['failed', [], 0],
    ['failed', ['--exit-status'], 1],
    ['completed_with_failures', ['--exit-status'], 8],
    ['running', [], 6],
  ] as const
  for (const [status, flags, exit] of cases) {
    const { baseUrl } = await startServer(t, ({ method }) =>
      method === 'POST' ? { status: 202, body: job('queued') } : { body: job(status) },
    )
    const args = ['submit', 'p', '--api', baseUrl, '--wait', '50', '-o', 'json', ...flags]
    const ran = await runCli(args)
    assert.equal(ran.status, exit, status)
    assert.equal(JSON.parse(ran.out).status, status)
  }
})

test('many jobs go out in batches of at most 1000, in order, one id a line', async (t) => {
  const { baseUrl, requests } = await startServer(t, accept)
  const args = ['submit', 'p', '--ndjson', '-', '--api', baseUrl]
  const { status, out, err } = await runCli(args, { stdin: `\n${lines(2500)}` })
  assert.equal(status, 0)
  assert.deepEqual(
    requests.map((request) => jobsIn(request).length),
    [1000, 1000, 500],
  )
  assert.deepEqual(
    out.trimEnd().split('\n'),
    Array.from({ length: 2500 }, (_, at) => `id-${at}`),
  )
  assert.match(err, /^2500 submitted in /m)
})

test('flags fill in what a line leaves out, and keys come from the number of the line', async (t) => {
  const { baseUrl, requests } = await startServer(t, accept)
  const own = { input: 1, priority: 9, tags: { b: 'own' }, idempotencyKey: 'mine' }
  const flags = ['--priority', '5', '--tag', 'a=x', '--tag', 'b=x', '--idempotency-key', 'K']
  const args = ['submit', 'p', '--ndjson', '-', '--api', baseUrl, '--count', ...flags]
  const { out } = await runCli(args, { stdin: `${JSON.stringify(own)}\n\n{"input":2}\n` })
  assert.equal(out, '2\n')
  assert.deepEqual(jobsIn(requests[0] as Seen), [
    { ...own, tags: { a: 'x', b: 'own' } },
    { input: 2, priority: 5, tags: { a: 'x', b: 'x' }, idempotencyKey: 'K:3' },
  ])
})

test('with --raw each line is an input itself', async (t) => {
  const { baseUrl, requests } = await startServer(t, accept)
  const args = ['submit', 'p', '--ndjson', '-', '--raw', '--api', baseUrl]
  await runCli(args, { stdin: '{"input":1}\n7' })
  assert.deepEqual(jobsIn(requests[0] as Seen), [{ input: { input: 1 } }, { input: 7 }])
})

test('where there is no room for a batch, it goes on with smaller ones, and loses none', async (t) => {
  const sent: unknown[] = []
  const { baseUrl, requests } = await startServer(t, (request) => {
    const jobs = jobsIn(request)
    if (jobs.length > 5) return problem(429, 'quota_exceeded', {}, { 'retry-after': '30' })
    sent.push(...jobs.map(({ input }) => input))
    return accept(request)
  })
  const args = ['submit', 'p', '--ndjson', '-', '--api', baseUrl, '-o', 'json']
  const { status, out, err } = await runCli(args, { stdin: lines(10) })
  assert.equal(status, 0)
  assert.deepEqual(
    sent,
    Array.from({ length: 10 }, (_, at) => at),
  )
  assert.equal(JSON.parse(out).accepted, 10)
  assert.match(err, /quota_exceeded, going on in 1 s/)
  assert.equal(requests.length, 3)
})

test('a refused line is named, and 8 says that those before it are accepted', async (t) => {
  const errors = [{ path: '/jobs/1/input', code: 'type', message: 'must be a number' }]
  const { baseUrl } = await startServer(t, (request) =>
    jobsIn(request).length === 1000 ? accept(request) : problem(422, 'invalid_input', { errors }),
  )
  const args = ['submit', 'p', '--ndjson', '-', '--count', '--api', baseUrl]
  const { status, out, err } = await runCli(args, { stdin: lines(1002) })
  assert.deepEqual({ status, out }, { status: 8, out: '1000\n' })
  assert.match(err, /1000 jobs were accepted, then: .*\n {2}line 1002 \/input: must be a number/)

  const none = await runCli(args, { stdin: lines(2) })
  assert.deepEqual({ status: none.status, out: none.out }, { status: 1, out: '0\n' })
})

test('a line that is no job stops before its batch is sent', async (t) => {
  const { baseUrl, requests } = await startServer(t, accept)
  const args = ['submit', 'p', '--ndjson', '-', '--api', baseUrl]
  const wrong = await runCli(args, { stdin: '{"input":1}\n{"value":2}\n' })
  assert.equal(wrong.status, 2)
  assert.match(wrong.err, /line 2 has no "input"/)
  assert.match((await runCli(args, { stdin: '{' })).err, /line 1 is no JSON/)
  assert.equal(requests.length, 0)
})

test('lines of a slow source are submitted as they come, not when a batch is full', async (t) => {
  const { baseUrl, requests } = await startServer(t, accept)
  const isSubmitted = () => requests.length > 0
  async function* slow() {
    yield lines(2)
    const endsAt = performance.now() + 10_000
    while (!isSubmitted() && performance.now() < endsAt) {
      await new Promise((resolve) => setTimeout(resolve, 5))
    }
    yield `${JSON.stringify({ input: 'last' })}\n`
  }
  const args = ['submit', 'p', '--ndjson', '-', '--api', baseUrl]
  const ran = await runCli(args, { stdin: slow() })
  assert.equal(ran.status, 0, ran.err)
  assert.deepEqual(
    requests.map((request) => jobsIn(request).map(({ input }) => input)),
    [[0, 1], ['last']],
  )
})
