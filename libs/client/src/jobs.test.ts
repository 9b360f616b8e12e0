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
