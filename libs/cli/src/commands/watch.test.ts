import assert from 'node:assert/strict'
import type { ServerResponse } from 'node:http'
import { test } from 'node:test'
import { problem, startServer } from '@weir/client/test-server'
import { runCli } from '../../test/support.ts'

const at = '2026-01-01T00:00:00.000Z'
const error = { code: 'no_airport', message: 'No airport XYZ\u001b[2J', class: 'permanent' }
const events = [
  { seq: 1, run: 1, type: 'job.queued', at, data: {} },
  {
    seq: 2,
    run: 1,
    type: 'task.retry_scheduled',
    at,
    step: 'a',
    attempt: 2,
    data: { retryAt: at },
  },
  {
    seq: 3,
    run: 1,
    type: 'task.failed',
    at,
    step: 'a',
    item: '3.1',
    data: { workMs: 12.34, error },
  },
  { seq: 4, run: 1, type: 'job.failed', at, data: {} },
]
const job = {
  id: 'j1',
  pipeline: 'p',
  version: 1,
  run: 1,
  status: 'failed',
  tags: {},
  submittedAt: at,
  dispatchedAt: at,
  finishedAt: at,
  error: null,
  waitingFor: null,
  result: null,
  steps: { a: { stage: 'a@1', status: 'failed', attempts: 2, waitMs: 1, workMs: 2, error } },
}

function stream(response: ServerResponse, upTo: number): void {
  response.writeHead(200, { 'content-type': 'text/event-stream' })
  for (const event of events.slice(0, upTo)) {
    response.write(`id: ${event.seq}\ndata: ${JSON.stringify(event)}\n\n`)
  }
}

/** A server whose job is at work until its last event has been sent. */
const serve = (t: Parameters<typeof startServer>[0], upTo = events.length) => {
  let isOver = false
  return startServer(t, ({ url }, response) => {
    if (!url.includes('/events')) {
      return { body: isOver ? job : { ...job, status: 'running', finishedAt: null } }
    }
    stream(response, upTo)
    if (upTo < events.length) return undefined
    isOver = true
    response.end()
    return undefined
  })
}

test('into a pipe each event is one line, and nothing in it steers a terminal', async (t) => {
  const { baseUrl } = await serve(t)
  const { status, out, err } = await runCli(['watch', 'j1', '--api', baseUrl])
  assert.deepEqual({ status, err }, { status: 0, err: '' })
  assert.deepEqual(out.trimEnd().split('\n'), [
    `${at}  job.queued`,
    `${at}  task.retry_scheduled  a  attempt 2  again at ${at}`,
    `${at}  task.failed  a[3.1]  work 12.3 ms  no_airport: No airport XYZ [2J`,
    `${at}  job.failed`,
  ])
})

test('with -o json each event is one object a line, and --exit-status tells how it ended', async (t) => {
  const { baseUrl } = await serve(t)
  const args = ['watch', 'j1', '--api', baseUrl, '-o', 'json', '--exit-status']
  const { status, out } = await runCli(args)
  assert.equal(status, 1)
  assert.deepEqual(
    out
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line)),
    events,
  )
})

test('on a terminal the steps are drawn over what was there', async (t) => {
  const { baseUrl } = await serve(t)
  const { status, out } = await runCli(['watch', 'j1', '--api', baseUrl, '--no-color'], {
    isTty: true,
  })
  assert.equal(status, 0)
  assert.match(out, /status {4}failed after 0 ms/)
  assert.match(out, /\na {5}a@1 {4}failed {2}2/)
  // biome-ignore lint/suspicious/noControlCharactersInRegex: the movements of the cursor are meant
  assert.match(out, /\u001b\[\d+A\u001b\[0J/)
  assert.ok(!out.includes('\u001b[2J'))
  assert.equal(out.match(/failed after 0 ms/g)?.length, 1, 'the end is drawn once')
})

test('a watch that takes too long ends with 6, one that is interrupted with 130', async (t) => {
  const { baseUrl } = await serve(t, 2)
  const late = await runCli(['watch', 'j1', '--api', baseUrl, '--timeout', '50'])
  assert.equal(late.status, 6)
  assert.match(late.err, /watch it again with: weir watch j1/)

  const stop = new AbortController()
  const ran = await runCli(['watch', 'j1', '--api', baseUrl], {
    signal: stop.signal,
    onOut: () => stop.abort(new Error('interrupted')),
  })
  assert.equal(ran.status, 130)
})

test('a job that is not there ends with 3', async (t) => {
  const { baseUrl } = await startServer(t, () => problem(404, 'not_found'))
  assert.equal((await runCli(['watch', 'j1', '--api', baseUrl])).status, 3)
})
