import assert from 'node:assert/strict'
import { test } from 'node:test'
import { startServer } from '../test/support.ts'
import { createClient } from './client.ts'

test('waiting asks again until the job has ended', async (t) => {
  const { baseUrl, requests } = await startServer(t, () => ({
    body: { id: 'j', status: requests.length < 3 ? 'running' : 'completed' },
  }))
  const { jobs } = createClient({ baseUrl })
  const job = await jobs.waitFor('j', { timeoutMs: 60_000, include: ['outputs'] })
  assert.equal(job.status, 'completed')
  assert.deepEqual(
    requests.map(({ url }) => url),
    Array(3).fill('/v1/jobs/j?include=outputs&wait=20000'),
  )
})

test('waiting ends with the job as it is when the time is over', async (t) => {
  const { baseUrl } = await startServer(t, () => ({ body: { id: 'j', status: 'queued' } }))
  const { status } = await createClient({ baseUrl }).jobs.waitFor('j', { timeoutMs: 30 })
  assert.equal(status, 'queued')
})

test('cancelling all jobs of a filter asks again until there are no more', async (t) => {
  const { baseUrl, requests } = await startServer(t, () => ({
    status: 202,
    body: { cancelled: 5, cancelling: 1, more: requests.length < 3 },
  }))
  const { jobs } = createClient({ baseUrl })
  const filter = { pipeline: 'p', tags: { day: 'sunday' } }
  assert.deepEqual(await jobs.cancelAll(filter, 'no need'), { cancelled: 15, cancelling: 3 })
  const bodies = requests.map(({ method, url, body }) => [method, url, JSON.parse(body)])
  const body = { filter, reason: 'no need' }
  assert.deepEqual(bodies, Array(3).fill(['POST', '/v1/jobs/cancel', body]))
  await jobs.cancelAll('all')
  assert.deepEqual(JSON.parse(requests.at(-1)?.body ?? ''), { all: true })
})

test('a plan of a cancel and a count cancel nothing', async (t) => {
  const body = { total: 2, byStatus: { queued: 2 } }
  const { baseUrl, requests } = await startServer(t, () => ({ body }))
  const { jobs } = createClient({ baseUrl })
  assert.deepEqual(await jobs.planCancel({ status: ['queued'] }), body)
  assert.deepEqual(JSON.parse(requests[0]?.body ?? ''), {
    filter: { status: ['queued'] },
    dryRun: true,
  })
  assert.deepEqual(await jobs.count({ pipeline: 'p', tags: { a: 'b' } }), body)
  assert.equal(requests[1]?.url, '/v1/jobs/counts?pipeline=p&tag.a=b')
})
