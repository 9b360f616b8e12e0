import assert from 'node:assert/strict'
import { test } from 'node:test'
import { startServer } from '@weir/client/test-server'
import { runCli } from '../../test/support.ts'

const gate = (stage: string, lag: number) => ({
  stage,
  lane: 'normal',
  state: lag > 5 ? 'throttled' : 'open',
  lag,
  lagMs: lag * 10,
  oldestAgeMs: lag * 20,
  drainRate: 12.34,
  inFlight: 3,
  inFlightLimit: 64,
  reason: lag > 5 ? 'delay over target' : null,
  since: '2026-01-01T00:00:00.000Z',
  seq: 1,
})

const flow = (lag: number) => ({
  at: '2026-01-01T00:00:00.000Z',
  stages: [gate('a@1', lag), gate('b@1', 0)],
  queue: { queued: 7, oldestAgeMs: 1_500 },
  bottleneck: { stage: 'a@1', why: 'busy 97 %' },
})

test('the flow shows each stage, the queue and the bottleneck', async (t) => {
  const { baseUrl } = await startServer(t, () => ({ body: flow(10) }))
  const { status, out } = await runCli(['flow', '--api', baseUrl])
  assert.equal(status, 0)
  assert.match(out, /^queue +7 jobs, oldest 1\.5 s$/m)
  assert.match(out, /^bottleneck +a@1: busy 97 %$/m)
  assert.match(
    out,
    /^a@1 +normal +throttled +10 +100 ms +200 ms +12\.3\/s +3\/64 +delay over target$/m,
  )
})

test('what a tenant is not shown, or nobody knows, is a dash', async (t) => {
  const hidden = { lag: null, lagMs: null, oldestAgeMs: null, drainRate: null, inFlight: null }
  const one = { ...gate('a@1', 0), ...hidden, state: 'unknown', reason: 'not_measured' }
  const body = {
    ...flow(0),
    stages: [one],
    queue: { queued: null, oldestAgeMs: null },
    bottleneck: null,
  }
  const { baseUrl } = await startServer(t, () => ({ body }))
  const { status, out } = await runCli(['flow', '--api', baseUrl])
  assert.equal(status, 0)
  assert.match(out, /^queue +- jobs, oldest -$/m)
  assert.match(out, /^bottleneck +none$/m)
  assert.match(out, /^a@1 +normal +unknown +- +- +- +- +-\/64 +not_measured$/m)
})

test('a watch into a pipe tells a stage again only when it has changed', async (t) => {
  const stop = new AbortController()
  const { baseUrl, requests } = await startServer(t, () => {
    if (requests.length === 4) stop.abort(new Error('interrupted'))
    return { body: flow(requests.length < 3 ? 0 : 10) }
  })
  const args = ['flow', '-w', '--interval', '100', '--api', baseUrl]
  const { status, out } = await runCli(args, { signal: stop.signal })
  assert.equal(status, 130)
  const told = out
    .trimEnd()
    .split('\n')
    .map((line) => line.split(/ {2}/).slice(1, 5).join(' '))
  assert.deepEqual(told, [
    'a@1 normal open lag 0',
    'b@1 normal open lag 0',
    'a@1 normal throttled lag 10',
  ])
})
