import assert from 'node:assert/strict'
import { after, before, beforeEach, describe, it } from 'node:test'
import { newUuid } from '@weir/contracts'
import { cloneDatabase, type TestDatabase } from '../../../../test/support/database.ts'
import { takeLease } from '../leases.ts'
import type { Pool } from '../pool.ts'
import { asRole, asTenant } from '../single-statements.ts'
import { admitJobs } from './admit.ts'
import { type ClaimedJob, claimJobs } from './claim.ts'
import { newJob } from './fixtures.ts'
import { commitFold } from './fold.ts'
import { listOverdue } from './in-flight.ts'
import { readJobLog } from './job-log.ts'
import { getJob } from './jobs.ts'
import { adoptPartition, initOffsets } from './offsets.ts'
import { getQueueState, getQueueTotal } from './queue-state.ts'
import { reconcileUsage, releaseStranded } from './reconcile.ts'
import { purgeJobs } from './retention.ts'
import { getUsage } from './usage.ts'

let db: TestDatabase
let control: Pool
let dispatcher: Pool
let ledger: Pool
let tenant: string
let offset = 0

before(async () => {
  db = await cloneDatabase()
  control = db.pool('weir_control')
  dispatcher = db.pool('weir_dispatcher')
  ledger = db.pool('weir_ledger')
  await initOffsets(asRole(ledger), [{ partition: 0, nextOffset: 0 }])
  await adoptPartition(asRole(ledger), 0, 'me')
})
after(() => db.drop())

beforeEach(async () => {
  tenant = newUuid()
  await db.addTenant(tenant, `t-${tenant}`)
})

async function runJobs(count: number): Promise<ClaimedJob[]> {
  const planId = `plan-${newUuid()}`
  const jobs = Array.from({ length: count }, () => newJob({ planId }))
  await admitJobs(control, tenant, jobs, { allOrNone: true })
  const lease = await takeLease(asRole(dispatcher), 'dispatcher', 'me', 60_000)
  assert.ok(lease !== undefined)
  return claimJobs(dispatcher, {
    picks: [{ planId, band: 1, limit: count }],
    bandLimits: [count, count, count, count],
    tenantCap: count,
    runMaxMs: 60_000,
    lease,
  })
}

async function endJobs(claimed: readonly ClaimedJob[]): Promise<void> {
  await commitFold(ledger, {
    partition: 0,
    fromOffset: offset,
    toOffset: ++offset,
    owner: 'me',
    chunks: claimed.map((each) => ({ ...each, fromSeq: 1, toSeq: 1, events: '["e"]' })),
    artifacts: claimed.map((each) => ({
      ...{ ...each, step: 's', item: '', digest: 'a', body: Buffer.from([0, 255, 10]) },
    })),
    payloads: claimed.map((each) => ({ ...each, step: 's', item: '', digest: 'd', body: '"b"' })),
    endedSteps: [],
    ended: claimed.map((each) => ({
      ...each,
      status: 'completed',
      finishedAt: Date.now(),
      lastSeq: 1,
      error: null,
      failedStep: null,
      isCancelKnown: false,
    })),
  })
}

describe('retention', () => {
  it('takes ended jobs of its time with all that belongs to them, and gives their bytes back', async () => {
    const tx = asTenant(control, tenant)
    const [open, ...ended] = await runJobs(4)
    assert.ok(open !== undefined)
    await endJobs(ended)
    assert.equal(await purgeJobs(dispatcher, new Date(Date.now() - 60_000), 10), 0)
    const later = new Date(Date.now() + 60_000)
    assert.equal(await purgeJobs(dispatcher, later, 2), 2)
    assert.equal(await purgeJobs(dispatcher, later, 2), 1)
    assert.equal(await purgeJobs(dispatcher, later, 2), 0)
    assert.equal((await getUsage(tx, tenant))?.storedBytes, Buffer.byteLength(open.input))
    assert.equal((await getJob(tx, tenant, open.job))?.status, 'running')
    assert.equal(await getJob(tx, tenant, ended[0]?.job ?? ''), undefined)
    assert.deepEqual(await readJobLog(tx, tenant, ended[0]?.job ?? '', 0, 10), [])
    for (const table of ['payloads', 'artifacts']) {
      const left = await db.admin(`select from ${table} where tenant_id = $1`, [tenant])
      assert.deepEqual(left, [], table)
    }
  })
})

describe('upkeep', () => {
  it('puts gauges right that were changed by hand, and tells by how much', async () => {
    await runJobs(2)
    assert.deepEqual(await reconcileUsage(dispatcher), [])
    await db.admin(
      'update tenant_usage set queued = queued + 5, in_flight = in_flight - 1 where tenant_id = $1',
      [tenant],
    )
    assert.deepEqual(await reconcileUsage(dispatcher), [{ tenant, queued: 5, inFlight: -1 }])
    assert.deepEqual(await reconcileUsage(dispatcher), [])
  })

  it('frees the head of an ordering key that was left behind', async () => {
    const keyed = { orderingKey: 'k', planId: 'plan-keyed' }
    const jobs = [newJob(keyed), newJob(keyed), newJob(keyed)]
    await admitJobs(control, tenant, jobs, { allOrNone: true })
    assert.equal(await releaseStranded(dispatcher), 0)
    await db.admin('delete from job_queue where job_id = $1', [jobs[0]?.id])
    assert.equal(await releaseStranded(dispatcher), 1)
    assert.equal((await getJob(asTenant(control, tenant), tenant, jobs[1]?.id ?? ''))?.held, false)
    assert.equal((await getJob(asTenant(control, tenant), tenant, jobs[2]?.id ?? ''))?.held, true)
    await reconcileUsage(dispatcher)
  })

  it('lists the runs whose time is over', async () => {
    const [one, two] = await runJobs(2)
    await db.admin(`update in_flight set not_after = now() - interval '1 s' where job_id = $1`, [
      two?.job,
    ])
    const overdue = (await listOverdue(dispatcher, 100)).filter((each) => each.tenant === tenant)
    assert.deepEqual(
      overdue.map((each) => each.job),
      [two?.job],
    )
    assert.notEqual(one?.job, two?.job)
  })

  it('tells the depth and the age of a tenant’s queue', async () => {
    const tx = asTenant(control, tenant)
    assert.deepEqual(await getQueueState(tx, tenant), { queued: 0, oldestAgeMs: null })
    await admitJobs(control, tenant, [newJob(), newJob()], { allOrNone: true })
    const state = await getQueueState(tx, tenant)
    assert.equal(state.queued, 2)
    assert.ok(state.oldestAgeMs !== null && state.oldestAgeMs >= 0)
  })

  it('tells the backlog of all tenants to who works across them, and to nobody else', async () => {
    const before = await getQueueTotal(dispatcher)
    const other = newUuid()
    await db.addTenant(other, `t-${other}`)
    await admitJobs(control, other, [newJob(), newJob(), newJob()], { allOrNone: true })
    const total = await getQueueTotal(dispatcher)
    assert.equal(total.queued, before.queued + 3)
    assert.ok(total.oldestAgeMs !== null && total.oldestAgeMs >= 0)
    assert.deepEqual(await getQueueTotal(control), { queued: 0, oldestAgeMs: null })
  })
})
