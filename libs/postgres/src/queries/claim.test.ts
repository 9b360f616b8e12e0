import assert from 'node:assert/strict'
import { after, before, beforeEach, describe, it } from 'node:test'
import { newUuid } from '@weir/contracts'
import { cloneDatabase, type TestDatabase } from '../../../../test/support/database.ts'
import { type Lease, takeLease } from '../leases.ts'
import type { Pool } from '../pool.ts'
import { asRole, asTenant } from '../single-statements.ts'
import { withTenant } from '../transaction.ts'
import { admitJobs, type NewJob } from './admit.ts'
import { type ClaimedJob, type ClaimRequest, claimJobs } from './claim.ts'
import { advanceClock } from './clock.ts'
import { newJob } from './fixtures.ts'
import { commitFold } from './fold.ts'
import { listInFlight, loadClaimed } from './in-flight.ts'
import { endQueuedJobs } from './jobs.ts'
import { adoptPartition, initOffsets } from './offsets.ts'
import { insertVersion, openPipeline, setPaused } from './pipelines.ts'
import { listQueueHeads } from './queue-heads.ts'
import { updateTenant } from './tenants.ts'

let db: TestDatabase
let control: Pool
let dispatcher: Pool
let ledger: Pool
let lease: Lease
let one: string
let two: string
let plan: string

before(async () => {
  db = await cloneDatabase()
  control = db.pool('weir_control')
  dispatcher = db.pool('weir_dispatcher')
  ledger = db.pool('weir_ledger')
  lease = (await takeLease(asRole(dispatcher), 'dispatcher', 'me', 60_000)) as Lease
  await initOffsets(asRole(ledger), [{ partition: 0, nextOffset: 0 }])
  await adoptPartition(asRole(ledger), 0, 'ledger-1')
})
after(() => db.drop())

beforeEach(async () => {
  one = newUuid()
  two = newUuid()
  plan = `plan-${one}`
  for (const tenant of [one, two]) await db.addTenant(tenant, `t-${tenant}`)
})

const submit = async (tenant: string, count: number, change: Partial<NewJob> = {}) => {
  const jobs = Array.from({ length: count }, () => newJob({ planId: plan, ...change }))
  const answers = await admitJobs(control, tenant, jobs, { allOrNone: true })
  assert.ok(answers.every((answer) => answer.outcome === 'admitted'))
  return jobs.map((job) => job.id)
}

const claim = (limit: number, change: Partial<ClaimRequest> = {}): Promise<ClaimedJob[]> =>
  claimJobs(dispatcher, {
    picks: [0, 1, 2, 3].map((band) => ({ planId: plan, band, limit })),
    bandLimits: [limit, limit, limit, limit],
    tenantCap: 1_000,
    runMaxMs: 86_400_000,
    lease,
    ...change,
  })
const ids = (claimed: ClaimedJob[]): string[] => claimed.map((each) => each.job)

let offset = 0
const end = async (claimed: ClaimedJob[]) => {
  const answer = await commitFold(ledger, {
    partition: 0,
    fromOffset: offset,
    toOffset: offset + 1,
    owner: 'ledger-1',
    chunks: [],
    payloads: [],
    artifacts: [],
    endedSteps: [],
    ended: claimed.map((each) => ({
      tenant: each.tenant,
      job: each.job,
      run: each.run,
      status: 'completed',
      finishedAt: Date.now(),
      lastSeq: 1,
      error: null,
      failedStep: null,
      isCancelKnown: false,
      pipeline: each.pipeline,
      orderingKey: each.orderingKey,
    })),
  })
  assert.equal(answer, 'committed')
  offset += 1
}

const gauges = async (tenant: string) =>
  (await db.admin('select queued, in_flight from tenant_usage where tenant_id = $1', [tenant]))[0]

describe('claims', () => {
  it('moves jobs to in_flight with all that dispatch needs, and counts them', async () => {
    const [id] = await submit(one, 1, {
      traceparent: '00-a-b-01',
      deadlineMs: 60_000,
      priority: 200,
      input: '"in"',
      weight: 7,
    })
    const [job] = await claim(10)
    assert.ok(job !== undefined)
    const { submittedAt, claimedAt, notAfter, virtualFinish, ...rest } = job
    assert.deepEqual(rest, {
      tenant: one,
      job: id,
      run: 1,
      planId: plan,
      pipeline: 'delays',
      version: 1,
      band: 2,
      priority: 200,
      weight: 7,
      orderingKey: null,
      correlationId: 'correlation-1',
      traceparent: '00-a-b-01',
      input: '"in"',
    })
    assert.ok(virtualFinish > 0 && submittedAt <= claimedAt)
    assert.equal(notAfter - claimedAt, 60_000)
    assert.deepEqual(await gauges(one), { queued: 0, in_flight: 1 })
    assert.deepEqual(await claim(10), [])
    const { band: _band, virtualFinish: _finish, ...loaded } = job
    assert.deepEqual(await loadClaimed(dispatcher, [{ tenant: one, job: job.job }]), [loaded])
    const page = await listInFlight(dispatcher, 10_000)
    const own = page.find((each) => each.job === id)
    assert.ok(own !== undefined && !own.hasEvents && own.notAfter === notAfter)
  })

  it('takes tenants in turn, however much one of them has queued', async () => {
    const noisy = await submit(one, 50)
    await db.admin('update dispatch_clock set virtual_time = 0')
    await db.admin('update job_queue set virtual_finish = virtual_finish where tenant_id = $1', [
      one,
    ])
    const start = await db.admin<{ at: number }>(
      'select min(virtual_finish) - 1 as at from job_queue where tenant_id = $1',
      [one],
    )
    await advanceClock(dispatcher, start[0]?.at as number)
    const quiet = await submit(two, 3)
    const claimed = ids(await claim(6))
    assert.deepEqual(
      claimed.filter((id) => quiet.includes(id)),
      quiet,
    )
    assert.deepEqual(
      claimed.filter((id) => noisy.includes(id)),
      noisy.slice(0, 3),
    )
  })

  it('shares by weight', async () => {
    await updateTenant(asTenant(control, two), two, { quotas: { weight: 3 } })
    await submit(one, 20)
    await submit(two, 20)
    const claimed = await claim(16)
    assert.equal(claimed.filter((job) => job.tenant === two).length, 12)
  })

  it('keeps to the limits of plan, band and tenant', async () => {
    await submit(one, 10)
    await submit(one, 10, { priority: 250 })
    assert.equal((await claim(10, { bandLimits: [0, 2, 0, 3] })).length, 5)
    assert.equal((await claim(10, { picks: [{ planId: plan, band: 1, limit: 1 }] })).length, 1)
    assert.equal((await claim(10, { tenantCap: 8 })).length, 2)
    await updateTenant(asTenant(control, one), one, { quotas: { maxInFlightJobs: 9 } })
    assert.equal((await claim(10)).length, 1)
    assert.deepEqual(await gauges(one), { queued: 11, in_flight: 9 })
  })

  it('leaves a capped tenant out without holding up the others', async () => {
    await submit(one, 10)
    await submit(two, 2)
    await updateTenant(asTenant(control, one), one, { quotas: { maxInFlightJobs: 0 } })
    assert.deepEqual(
      (await claim(20)).map((job) => job.tenant),
      [two, two],
    )
  })

  it('claims nothing of a suspended tenant', async () => {
    await submit(one, 1)
    await updateTenant(asTenant(control, one), one, { suspended: true })
    assert.deepEqual(await claim(10), [])
    await updateTenant(asTenant(control, one), one, { suspended: false })
    assert.equal((await claim(10)).length, 1)
  })

  it('claims nothing under a lease that has passed on', async () => {
    await submit(one, 1)
    assert.deepEqual(await claim(10, { lease: { ...lease, fencing: lease.fencing - 1 } }), [])
    assert.equal((await claim(10)).length, 1)
  })

  it('runs jobs of one ordering key one after the other, in the order of submission', async () => {
    const expected = await submit(one, 3, { orderingKey: 'k' })
    expected.push(...(await submit(one, 1, { orderingKey: 'k', priority: 255 })))
    const others = await submit(one, 2, { orderingKey: 'other' })
    const seen: string[] = []
    const first = await claim(10)
    assert.deepEqual(ids(first).sort(), [expected[0], others[0]].sort())
    assert.deepEqual(await claim(10), [])
    let running = first.filter((job) => job.orderingKey === 'k')
    await end(first.filter((job) => job.orderingKey === 'other'))
    while (running.length > 0) {
      assert.equal(running.length, 1)
      seen.push(running[0]?.job as string)
      await end(running)
      running = (await claim(10)).filter((job) => job.orderingKey === 'k')
    }
    assert.deepEqual(seen, expected)
  })

  it('frees the next of an ordering key when the first is cancelled while queued', async () => {
    const [first, second] = await submit(one, 2, { orderingKey: 'k' })
    const ended = await withTenant(control, one, (tx) =>
      endQueuedJobs(tx, 'cancelled', [
        { id: first as string, fromSeq: 1, toSeq: 1, events: '[]', error: null },
      ]),
    )
    assert.deepEqual(ended, [first])
    assert.deepEqual(ids(await claim(10)), [second])
    assert.deepEqual(await gauges(one), { queued: 0, in_flight: 1 })
  })

  it('never strands a job of an ordering key that is submitted while the last one ends', async () => {
    const done: string[] = []
    const submitted: string[] = []
    let submitting = true
    const submitter = (async () => {
      for (let n = 0; n < 60; n += 1) {
        submitted.push(...(await submit(one, 1, { orderingKey: 'race' })))
      }
      submitting = false
    })()
    const deadline = Date.now() + 20_000
    while ((submitting || done.length < submitted.length) && Date.now() < deadline) {
      const claimed = await claim(10)
      assert.ok(claimed.length <= 1)
      await end(claimed)
      done.push(...ids(claimed))
    }
    await submitter
    assert.deepEqual(done, submitted)
  })

  it('waits for no tenant whose row is held for long', async () => {
    await submit(one, 1)
    await submit(two, 1)
    let release = (): void => {}
    const held = new Promise<void>((resolve) => {
      release = resolve
    })
    let locked = (): void => {}
    const isLocked = new Promise<void>((resolve) => {
      locked = resolve
    })
    const holder = withTenant(control, one, async (tx) => {
      await endQueuedJobs(tx, 'cancelled', [])
      locked()
      await held
    })
    await isLocked
    const claimed = await claim(10)
    release()
    await holder
    assert.deepEqual(
      claimed.map((job) => job.tenant),
      [two],
    )
  })

  it('lists the heads of all queues but those of paused pipelines', async () => {
    const pipelines = ['alpha', 'beta']
    for (const [index, name] of pipelines.entries()) {
      await withTenant(control, one, async (tx) => {
        await openPipeline(tx, one, name)
        await insertVersion(tx, one, {
          name,
          version: 1,
          planId: `${name}-${one}`,
          documentHash: 'h',
          document: '{}',
          effective: '{}',
          plan: '{}',
          createdBy: 'me',
        })
      })
      await submit(one, 3, { pipeline: name, planId: `${name}-${one}` })
      if (index === 0)
        await submit(one, 2, { pipeline: name, planId: `${name}-${one}`, priority: 0 })
    }
    const heads = async () =>
      (await listQueueHeads(dispatcher, 1_000))
        .filter((head) => head.tenant === one)
        .map((head) => [head.pipeline, head.band])
    assert.deepEqual(await heads(), [
      ['alpha', 1],
      ['alpha', 0],
      ['beta', 1],
    ])
    await setPaused(asTenant(control, one), one, 'alpha', true)
    assert.deepEqual(await heads(), [['beta', 1]])
  })
})
