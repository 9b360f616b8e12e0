import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Answering, problem, startServer } from '@weir/client/test-server'
import { runCli } from '../../test/support.ts'

const job = {
  id: 'j1',
  pipeline: 'p',
  version: 1,
  run: 1,
  status: 'cancelling',
  submittedAt: '2026-01-01T00:00:00.000Z',
  finishedAt: null,
  waitingFor: null,
  error: null,
  cancel: { requestedAt: '2026-01-01T00:00:01.000Z', actor: 'key:k1', reason: 'wrong day' },
  tags: {},
  steps: {},
  result: null,
}

const plan = { total: 5, byStatus: { queued: 3, running: 2 } }
const answer: Answering = ({ url, body }) => {
  if (url === '/v1/jobs/j1/cancel') return { status: 202, body: job }
  return JSON.parse(body).dryRun === true
    ? { body: plan }
    : { status: 202, body: { cancelled: 3, cancelling: 2, more: false } }
}

test('one job is cancelled with its reason, and shown with who asked', async (t) => {
  const { baseUrl, requests } = await startServer(t, answer)
  const ran = await runCli(['cancel', 'j1', '--because', 'wrong day', '--api', baseUrl])
  assert.equal(ran.status, 0, ran.err)
  assert.match(ran.out, /status {4}cancelling/)
  assert.match(ran.out, /cancel {4}asked for by key:k1: wrong day/)
  assert.deepEqual(
    requests.map(({ method, url, body }) => [method, url, JSON.parse(body)]),
    [['POST', '/v1/jobs/j1/cancel', { reason: 'wrong day' }]],
  )
  const bare = await runCli(['cancel', 'j1', '--api', baseUrl, '-o', 'name'])
  assert.deepEqual([bare.out, requests.at(-1)?.body], ['j1\n', '{}'])
})

test('a job that has ended or is not there is told by the exit status', async (t) => {
  const refused = await startServer(t, () => problem(409, 'job_already_finished'))
  assert.equal((await runCli(['cancel', 'j1', '--api', refused.baseUrl])).status, 5)
  const absent = await startServer(t, () => problem(404, 'not_found'))
  const ran = await runCli(['cancel', 'j1', '--api', absent.baseUrl, '-o', 'json'])
  assert.deepEqual([ran.status, JSON.parse(ran.err).error.code], [3, 'not_found'])
})

test('all jobs of a filter are cancelled, once that is said with --yes', async (t) => {
  const { baseUrl, requests } = await startServer(t, answer)
  const args = [
    ...['cancel', '--pipeline', 'p', '--status', 'queued', '--tag', 'day=sunday'],
    ...['--because', 'no need', '--api', baseUrl, '-o', 'json'],
  ]
  const filter = { pipeline: 'p', status: ['queued'], tags: { day: 'sunday' } }
  const bodies = () => requests.map(({ body }) => JSON.parse(body))

  const unsure = await runCli(args)
  assert.equal(unsure.status, 2)
  assert.match(unsure.err, /3 queued and 2 running jobs are to be cancelled/)
  assert.deepEqual(bodies(), [{ filter, dryRun: true }])

  const sure = await runCli([...args, '--yes'])
  assert.equal(sure.status, 0, sure.err)
  assert.deepEqual(JSON.parse(sure.out), { cancelled: 3, cancelling: 2 })
  assert.deepEqual(bodies().at(-1), { filter, reason: 'no need' })
})

test('a dry run says how many that would be, and asks nothing', async (t) => {
  const { baseUrl, requests } = await startServer(t, answer)
  const ran = await runCli(['cancel', '--all', '--dry-run', '--api', baseUrl])
  assert.equal(ran.status, 0, ran.err)
  assert.match(ran.out, /total +5\nqueued +3\nrunning +2/)
  assert.deepEqual(
    requests.map(({ body }) => JSON.parse(body)),
    [{ all: true, dryRun: true }],
  )
})

test('which jobs are meant must be clear before anything is asked', async (t) => {
  const { baseUrl, requests } = await startServer(t, answer)
  const unclear = [
    [],
    ['j1', '--pipeline', 'p'],
    ['j1', '--all'],
    ['--all', '--pipeline', 'p'],
    ['j1', '--dry-run'],
    ['--tag', 'sunday'],
    ['--status', 'completed'],
  ]
  for (const args of unclear) {
    const { status } = await runCli(['cancel', ...args, '--yes', '--api', baseUrl])
    assert.equal(status, 2, args.join(' '))
  }
  assert.deepEqual(requests, [])
})
