import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { newUuid } from '@weir/contracts'
import { cloneDatabase, type TestDatabase } from '../../../../test/support/database.ts'
import { takeLease } from '../leases.ts'
import type { Pool } from '../pool.ts'
import { asRole, asTenant } from '../single-statements.ts'
import { withTenant } from '../transaction.ts'
import { admitJobs } from './admit.ts'
import { markCancelling } from './cancel.ts'
import { claimJobs } from './claim.ts'
import { newJob } from './fixtures.ts'
import { commitFold } from './fold.ts'
import { readJobLog } from './job-log.ts'
import {
  countJobs,
  endQueuedJobs,
  getJob,
  type JobFilter,
  listJobs,
  listQueueOverflow,
} from './jobs.ts'
import { adoptPartition, initOffsets } from './offsets.ts'
import { getUsage } from './usage.ts'

let db: TestDatabase
let control: Pool
const tenant = newUuid()
const jobs = {
  completed: newJob({ tags: ['team=a', 'env=x'], correlationId: 'c-1' }),
  failed: newJob({ pipeline: 'other', idempotencyKey: 'key', bodyHash: Buffer.from('x') }),
  running: newJob({ tags: ['team=a'] }),
  cancelling: newJob(),
  cancelled: newJob({ priority: 0 }),
  queued: newJob({ priority: 0, orderingKey: 'k' }),
  held: newJob({ priority: 0, orderingKey: 'k' }),
}
const nameOf = (id: string) =>
  Object.entries(jobs).find(([, job]) => job.id === id)?.[0] as keyof typeof jobs
const tx = () => asTenant(control, tenant)
const find = async (filter: JobFilter) =>
  (await listJobs(tx(), tenant, filter, { limit: 50 })).map((job) => nameOf(job.id))

before(async () => {
  db = await cloneDatabase()
  control = db.pool('weir_control')
  const dispatcher = db.pool('weir_dispatcher')
  const ledger = db.pool('weir_ledger')
  await db.addTenant(tenant, 'one')
  await admitJobs(control, tenant, Object.values(jobs), { allOrNone: true })
  const lease = await takeLease(asRole(dispatcher), 'dispatcher', 'me', 60_000)
  assert.ok(lease !== undefined)
  const claimed = await claimJobs(dispatcher, {
    picks: [{ planId: 'plan-1', band: 1, limit: 10 }],
    bandLimits: [10, 10, 10, 10],
    tenantCap: 10,
    runMaxMs: 1_000,
    lease,
  })
  await initOffsets(asRole(ledger), [{ partition: 0, nextOffset: 0 }])
  await adoptPartition(asRole(ledger), 0, 'me')
  await commitFold(ledger, {
    partition: 0,
    fromOffset: 0,
    toOffset: 1,
    owner: 'me',
    chunks: [],
    payloads: [],
    artifacts: [],
    endedSteps: [],
    ended: (['completed', 'failed'] as const).map((status) => ({
      ...claimed.find((each) => each.job === jobs[status].id),
      tenant,
      job: jobs[status].id,
      run: 1,
      status,
      finishedAt: Date.now(),
      lastSeq: 3,
      error: null,
      failedStep: status === 'failed' ? 'locate' : null,
      isCancelKnown: false,
      pipeline: 'delays',
      orderingKey: null,
    })),
  })
  await markCancelling(tx(), tenant, [{ id: jobs.cancelling.id, reason: null, actor: 'me' }])
  await endQueuedJobs(tx(), 'cancelled', [
    { id: jobs.cancelled.id, fromSeq: 1, toSeq: 2, events: '[1]', error: '{}' },
  ])
})
after(() => db.drop())

describe('jobs', () => {
  it('have the status of where they stand', async () => {
    for (const [name, job] of Object.entries(jobs)) {
      const stored = await getJob(tx(), tenant, job.id)
      assert.equal(stored?.status, name === 'held' ? 'queued' : name)
      assert.equal(stored?.held, name === 'held')
      assert.equal(stored?.input, null)
    }
    assert.equal(
      (await getJob(tx(), tenant, jobs.queued.id, { input: true }))?.input,
      jobs.queued.input,
    )
    assert.equal(await getJob(tx(), tenant, newUuid()), undefined)
  })

  it('are listed newest first, page by page', async () => {
    const all = await find({})
    assert.deepEqual(all, Object.keys(jobs).reverse())
    const page = await listJobs(tx(), tenant, {}, { limit: 2, before: jobs.held.id })
    assert.deepEqual(
      page.map((job) => nameOf(job.id)),
      ['queued', 'cancelled'],
    )
  })

  it('are found by every filter', async () => {
    assert.deepEqual(await find({ status: ['queued'] }), ['held', 'queued'])
    assert.deepEqual(await find({ status: ['running'] }), ['running'])
    assert.deepEqual(await find({ status: ['running', 'cancelling'] }), ['cancelling', 'running'])
    assert.deepEqual(await find({ status: ['failed', 'cancelled'] }), ['cancelled', 'failed'])
    assert.deepEqual(await find({ status: ['cancelling', 'completed'] }), [
      'cancelling',
      'completed',
    ])
    assert.deepEqual(await find({ pipeline: 'other' }), ['failed'])
    assert.deepEqual(await find({ tags: ['team=a'] }), ['running', 'completed'])
    assert.deepEqual(await find({ tags: ['team=a', 'env=x'] }), ['completed'])
    assert.deepEqual(await find({ correlationId: 'c-1' }), ['completed'])
    assert.deepEqual(await find({ idempotencyKey: 'key' }), ['failed'])
    assert.deepEqual(await find({ failedStep: 'locate' }), ['failed'])
    const now = new Date()
    assert.deepEqual(await find({ from: now }), [])
    assert.equal((await find({ from: new Date(now.getTime() - 60_000), to: now })).length, 7)
    assert.deepEqual(await find({ to: new Date(now.getTime() - 60_000) }), [])
  })

  it('are counted by status', async () => {
    assert.deepEqual(await countJobs(tx(), tenant, {}), {
      completed: 1,
      failed: 1,
      running: 1,
      cancelling: 1,
      cancelled: 1,
      queued: 2,
    })
  })

  it('end while queued with a last chunk of their log, and give back their place', async () => {
    const log = await readJobLog(tx(), tenant, jobs.cancelled.id, 0, 10)
    assert.deepEqual(log, [{ run: 1, fromSeq: 1, toSeq: 2, events: '[1]' }])
    assert.deepEqual(
      await endQueuedJobs(tx(), 'cancelled', [
        { id: jobs.running.id, fromSeq: 1, toSeq: 1, events: '[]', error: null },
        { id: jobs.cancelled.id, fromSeq: 3, toSeq: 3, events: '[]', error: null },
      ]),
      [],
    )
    const usage = await getUsage(tx(), tenant)
    assert.equal(usage?.queuedJobs, 2)
    assert.equal(usage?.inFlightJobs, 2)
  })

  it('overflow the queue of their plan from its oldest end, those that are held too', async () => {
    const queue = { pipeline: 'delays', planId: 'plan-1' }
    const overflow = (keep: number, limit = 10) =>
      listQueueOverflow(tx(), tenant, queue, keep, limit)
    assert.deepEqual(await overflow(1), [jobs.queued.id])
    assert.deepEqual(await overflow(0), [jobs.queued.id, jobs.held.id])
    assert.deepEqual(await overflow(0, 1), [jobs.queued.id])
    assert.deepEqual(await overflow(2), [])
    const elsewhere = { ...queue, planId: 'plan-2' }
    assert.deepEqual(await listQueueOverflow(tx(), tenant, elsewhere, 0, 10), [])
    const other = newUuid()
    assert.deepEqual(await listQueueOverflow(asTenant(control, other), tenant, queue, 0, 10), [])
  })

  it('are of nobody else', async () => {
    const other = newUuid()
    await db.addTenant(other, 'two')
    const theirs = asTenant(control, other)
    assert.equal(await getJob(theirs, other, jobs.running.id), undefined)
    // Even where the code asks for the wrong tenant.
    assert.equal(await getJob(theirs, tenant, jobs.running.id), undefined)
    const intent = { id: jobs.running.id, reason: null, actor: 'them' }
    assert.deepEqual(await markCancelling(theirs, tenant, [intent]), [])
    const ended = await withTenant(control, other, (own) =>
      endQueuedJobs(own, 'dropped', [
        { id: jobs.queued.id, fromSeq: 1, toSeq: 1, events: '[]', error: null },
      ]),
    )
    assert.deepEqual(ended, [])
  })
})
