import assert from 'node:assert/strict'
import { after, before, beforeEach, describe, it } from 'node:test'
import { newUuid } from '@weir/contracts'
import { cloneDatabase, type TestDatabase } from '../../../../test/support/database.ts'
import { type Lease, takeLease } from '../leases.ts'
import type { Pool } from '../pool.ts'
import { asRole, asTenant } from '../single-statements.ts'
import { withTenant } from '../transaction.ts'
import { admitJobs } from './admit.ts'
import { holdForCancel, listCancelling, markCancelling } from './cancel.ts'
import { claimJobs } from './claim.ts'
import { newJob } from './fixtures.ts'
import { endQueuedJobs } from './jobs.ts'
import { loadRuns } from './runs.ts'

let db: TestDatabase
let control: Pool
let dispatcher: Pool
let ledger: Pool
let lease: Lease
let tenant: string

before(async () => {
  db = await cloneDatabase()
  control = db.pool('weir_control', 4)
  dispatcher = db.pool('weir_dispatcher')
  ledger = db.pool('weir_ledger')
  lease = (await takeLease(asRole(dispatcher), 'dispatcher', 'me', 60_000)) as Lease
})
after(() => db.drop())

beforeEach(async () => {
  tenant = newUuid()
  await db.addTenant(tenant, `t-${tenant}`)
  await db.admin('delete from in_flight')
})

async function submit(count: number, planId: string): Promise<string[]> {
  const jobs = Array.from({ length: count }, () => newJob({ planId }))
  await admitJobs(control, tenant, jobs, { allOrNone: true })
  return jobs.map(({ id }) => id)
}

const claim = (planId: string) =>
  claimJobs(dispatcher, {
    picks: [{ planId, band: 1, limit: 10 }],
    bandLimits: [10, 10, 10, 10],
    tenantCap: 100,
    runMaxMs: 60_000,
    lease,
  })

describe('a job that is to be cancelled', () => {
  it('is told of as it stands, and nothing of another tenant', async () => {
    const [queued] = await submit(1, 'plan-queued')
    const [running] = await submit(1, `plan-${tenant}`)
    await claim(`plan-${tenant}`)
    const ids = [queued as string, running as string, newUuid()]
    const found = await withTenant(control, tenant, (tx) => holdForCancel(tx, tenant, ids))
    assert.deepEqual(
      found.map(({ id, status, run, lastSeq }) => [id, status, run, lastSeq]),
      [
        [queued, 'queued', 1, 0],
        [running, 'running', 1, 0],
      ],
    )
    const other = newUuid()
    await db.addTenant(other, 'other')
    assert.deepEqual(await withTenant(control, other, (tx) => holdForCancel(tx, other, ids)), [])
  })

  it('is either ended in the queue or claimed and asked to end, whoever comes first', async () => {
    const seen = { ended: 0, asked: 0 }
    for (let round = 0; round < 40; round += 1) {
      const planId = `plan-${newUuid()}`
      const [id] = (await submit(1, planId)) as [string]
      const cancel = withTenant(control, tenant, async (tx) => {
        const [target] = await holdForCancel(tx, tenant, [id])
        if (target?.status !== 'queued') {
          return markCancelling(tx, tenant, [{ id, reason: null, actor: 'me' }])
        }
        const end = { id, fromSeq: 1, toSeq: 1, events: '[]', error: null }
        assert.deepEqual(await endQueuedJobs(tx, 'cancelled', [end]), [id])
        return []
      })
      const [asked, claimed] = await Promise.all([cancel, claim(planId)])
      assert.deepEqual(
        claimed.map(({ job }) => job),
        asked,
      )
      seen[asked.length === 0 ? 'ended' : 'asked'] += 1
    }
    assert.equal((await listCancelling(ledger, 100)).length, seen.asked)
  })
})

describe('the intent to cancel a run', () => {
  it('stays as the first who asked has it, and is found by the ledger', async () => {
    const planId = `plan-${tenant}`
    const ids = await submit(3, planId)
    await claim(planId)
    const [first, second, third] = ids as [string, string, string]
    const tx = asTenant(control, tenant)
    const intent = { id: first, reason: 'wrong day', actor: 'key:1' }
    assert.deepEqual(await markCancelling(tx, tenant, [intent]), [first])
    const again = { ...intent, reason: 'another', actor: 'key:2' }
    const other = { id: second, reason: null, actor: 'operator' }
    assert.deepEqual(await markCancelling(tx, tenant, [again, other]), [second])

    const listed = await listCancelling(ledger, 10)
    assert.deepEqual(
      listed.map(({ job, run, reason, actor }) => [job, run, reason, actor]),
      [
        [first, 1, 'wrong day', 'key:1'],
        [second, 1, null, 'operator'],
      ],
    )
    assert.ok(Math.abs((listed[0]?.at ?? 0) - Date.now()) < 60_000)
    const page = await listCancelling(ledger, 10, { tenant, job: first })
    assert.deepEqual(
      page.map(({ job }) => job),
      [second],
    )
    const loaded = await loadRuns(
      ledger,
      ids.map((job) => ({ tenant, job })),
    )
    const byJob = new Map(loaded.map((run) => [run.job, run.cancel]))
    assert.deepEqual(byJob.get(first), {
      reason: 'wrong day',
      actor: 'key:1',
      at: listed[0]?.at,
    })
    assert.equal(byJob.get(third), null)
  })
})
