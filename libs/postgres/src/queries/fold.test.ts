import assert from 'node:assert/strict'
import { after, before, beforeEach, describe, it } from 'node:test'
import { newUuid } from '@weir/contracts'
import { cloneDatabase, type TestDatabase } from '../../../../test/support/database.ts'
import { type Lease, takeLease } from '../leases.ts'
import type { Pool } from '../pool.ts'
import { asRole, asTenant } from '../single-statements.ts'
import { admitJobs } from './admit.ts'
import { markCancelling } from './cancel.ts'
import { type ClaimedJob, claimJobs } from './claim.ts'
import { newJob } from './fixtures.ts'
import { commitFold, type EndedRun, type Fold, type FoldAnswer } from './fold.ts'
import { readJobLog, readPayloads } from './job-log.ts'
import { getJob } from './jobs.ts'
import { adoptPartition, initOffsets, readOffsets } from './offsets.ts'
import { readArtifact } from './outputs.ts'
import { loadRuns } from './runs.ts'

let db: TestDatabase
let control: Pool
let dispatcher: Pool
let ledger: Pool
let lease: Lease
let tenant: string
let job: ClaimedJob

before(async () => {
  db = await cloneDatabase()
  control = db.pool('weir_control')
  dispatcher = db.pool('weir_dispatcher')
  ledger = db.pool('weir_ledger')
  lease = (await takeLease(asRole(dispatcher), 'dispatcher', 'me', 60_000)) as Lease
})
after(() => db.drop())

beforeEach(async () => {
  tenant = newUuid()
  await db.addTenant(tenant, `t-${tenant}`)
  await db.admin('delete from ledger_offsets')
  await initOffsets(asRole(ledger), [{ partition: 3, nextOffset: 10 }])
  assert.equal(await adoptPartition(asRole(ledger), 3, 'me'), 10)
  job = (await claimOne()) as ClaimedJob
})

async function claimOne(): Promise<ClaimedJob | undefined> {
  const planId = `plan-${newUuid()}`
  await admitJobs(control, tenant, [newJob({ planId })], { allOrNone: true })
  const [claimed] = await claimJobs(dispatcher, {
    picks: [{ planId, band: 1, limit: 1 }],
    bandLimits: [1, 1, 1, 1],
    tenantCap: 100,
    runMaxMs: 1_000,
    lease,
  })
  return claimed
}

const fold = (change: Partial<Fold>): Promise<FoldAnswer> =>
  commitFold(ledger, {
    partition: 3,
    fromOffset: 10,
    toOffset: 20,
    owner: 'me',
    chunks: [],
    ended: [],
    endedSteps: [],
    payloads: [],
    artifacts: [],
    ...change,
  })
const key = () => ({ tenant, job: job.job })
const ended = (change: Partial<EndedRun> = {}): EndedRun => ({
  ...key(),
  run: 1,
  status: 'failed',
  finishedAt: 1_700_000_000_123,
  lastSeq: 4,
  error: '{"code":"x"}',
  failedStep: 'locate',
  isCancelKnown: false,
  pipeline: 'delays',
  orderingKey: null,
  ...change,
})
const gauges = async () =>
  (
    await db.admin<{ in_flight: number; stored_bytes: number }>(
      'select in_flight, stored_bytes from tenant_usage where tenant_id = $1',
      [tenant],
    )
  )[0]

describe('a fold', () => {
  it('writes log, payloads, end and offset, and counts the bytes and the run', async () => {
    const before = await gauges()
    const payload = { run: 1, step: 's', item: '', digest: 'd', body: '"bödy"' }
    const made = { run: 1, step: 's', item: '3', digest: 'e' }
    const artifact = { ...key(), ...made, body: Buffer.from([0, 255, 10]) }
    const answer = await fold({
      chunks: [{ ...key(), run: 1, fromSeq: 1, toSeq: 4, events: '["a"]' }],
      payloads: [{ ...key(), ...payload }],
      artifacts: [artifact, { ...artifact, digest: 'f', body: Buffer.from('other') }],
      ended: [ended()],
    })
    assert.equal(answer, 'committed')
    const control1 = asTenant(control, tenant)
    const stored = await getJob(control1, tenant, job.job)
    assert.equal(stored?.status, 'failed')
    assert.equal(stored?.failedStep, 'locate')
    assert.equal(stored?.lastSeq, 4)
    assert.equal(stored?.finishedAt?.getTime(), 1_700_000_000_123)
    assert.equal(stored?.dispatchedAt?.getTime(), job.claimedAt)
    assert.equal(stored?.notAfter?.getTime(), job.notAfter)
    assert.deepEqual(await readJobLog(control1, tenant, job.job, 3, 10), [
      { run: 1, fromSeq: 1, toSeq: 4, events: '["a"]' },
    ])
    assert.deepEqual(await readJobLog(control1, tenant, job.job, 4, 10), [])
    assert.deepEqual(await readPayloads(control1, tenant, job.job, 1), [payload])
    const read = (digest: string) => readArtifact(control1, tenant, job.job, { ...made, digest })
    assert.deepEqual(await read('e'), Buffer.from([0, 255, 10]))
    assert.deepEqual(await read('f'), Buffer.from('other'))
    assert.equal(await read('g'), undefined)
    assert.deepEqual(await gauges(), {
      in_flight: 0,
      stored_bytes: (before?.stored_bytes ?? 0) + 5 + 7 + 3 + 5,
    })
    assert.deepEqual(await readOffsets(asRole(ledger)), [
      { partition: 3, nextOffset: 20, owner: 'me' },
    ])
  })

  it('is refused as a whole where the partition stands elsewhere or has another owner', async () => {
    const before = await gauges()
    const chunks = [{ ...key(), run: 1, fromSeq: 1, toSeq: 4, events: '[]' }]
    assert.equal(await fold({ fromOffset: 9, chunks, ended: [ended()] }), 'conflict')
    assert.equal(await fold({ owner: 'other', chunks, ended: [ended()] }), 'conflict')
    assert.equal(await fold({ partition: 4, chunks, ended: [ended()] }), 'conflict')
    assert.deepEqual(await gauges(), before)
    assert.equal((await getJob(asTenant(control, tenant), tenant, job.job))?.status, 'running')
    assert.deepEqual(await readJobLog(asTenant(control, tenant), tenant, job.job, 0, 10), [])
    assert.equal(await fold({ chunks, ended: [ended()] }), 'committed')
  })

  it('counts only once when the same offsets are folded twice at the same time', async () => {
    const answers = await Promise.all([fold({ ended: [ended()] }), fold({ ended: [ended()] })])
    assert.deepEqual(answers.sort(), ['committed', 'conflict'])
    assert.equal((await gauges())?.in_flight, 0)
  })

  it('ends a run once: a second end changes neither row nor gauge', async () => {
    await fold({ ended: [ended()] })
    await fold({ fromOffset: 20, toOffset: 21, ended: [ended({ status: 'completed' })] })
    assert.equal((await getJob(asTenant(control, tenant), tenant, job.job))?.status, 'failed')
    assert.equal((await gauges())?.in_flight, 0)
  })

  it('leaves a job alone whose run was superseded', async () => {
    await fold({ ended: [ended({ run: 2 })] })
    assert.equal((await getJob(asTenant(control, tenant), tenant, job.job))?.status, 'running')
    assert.equal((await gauges())?.in_flight, 1)
  })

  it('lets nothing of a partition through after it was adopted by another', async () => {
    assert.equal(await adoptPartition(asRole(ledger), 3, 'successor'), 10)
    assert.equal(await fold({}), 'conflict')
    assert.equal(await fold({ owner: 'successor' }), 'committed')
  })

  it('is refused whole where the log would be written twice', async () => {
    const chunks = [{ ...key(), run: 1, fromSeq: 1, toSeq: 2, events: '[]' }]
    await fold({ chunks })
    await assert.rejects(fold({ fromOffset: 20, toOffset: 21, chunks }), { code: '23505' })
    assert.equal((await readOffsets(asRole(ledger)))[0]?.nextOffset, 20)
  })

  it('ends no run whose log does not know of the cancel that was asked for', async () => {
    const before = await gauges()
    const intent = { id: job.job, reason: 'no need', actor: 'key:1' }
    assert.deepEqual(await markCancelling(asTenant(control, tenant), tenant, [intent]), [job.job])
    const chunks = [{ ...key(), run: 1, fromSeq: 1, toSeq: 4, events: '[]' }]
    assert.equal(await fold({ chunks, ended: [ended({ status: 'completed' })] }), 'cancel_missed')
    assert.deepEqual(await gauges(), before)
    assert.equal((await getJob(asTenant(control, tenant), tenant, job.job))?.status, 'cancelling')
    const knowing = ended({ status: 'cancelled', isCancelKnown: true })
    assert.equal(await fold({ chunks, ended: [knowing] }), 'committed')
    assert.equal((await getJob(asTenant(control, tenant), tenant, job.job))?.status, 'cancelled')
  })

  it('keeps which steps have ended, for a run that goes on', async () => {
    await fold({ endedSteps: [{ ...key(), run: 1, steps: ['a', 'b "c"'] }] })
    const stored = await getJob(asTenant(control, tenant), tenant, job.job)
    assert.deepEqual(stored?.endedSteps, ['a', 'b "c"'])
  })
})

describe('loading runs', () => {
  it('answers what a fold must know, with the log so far', async () => {
    await fold({ chunks: [{ ...key(), run: 1, fromSeq: 1, toSeq: 2, events: '["e"]' }] })
    const [run, ...rest] = await loadRuns(ledger, [key(), { tenant, job: newUuid() }])
    assert.deepEqual(rest, [])
    assert.deepEqual(run, {
      tenant,
      job: job.job,
      run: 1,
      status: 'open',
      pipeline: 'delays',
      version: 1,
      planId: job.planId,
      correlationId: 'correlation-1',
      traceparent: null,
      submittedAt: job.submittedAt,
      claimedAt: job.claimedAt,
      notAfter: job.notAfter,
      orderingKey: null,
      cancel: null,
      lastSeq: 2,
      chunks: [{ run: 1, fromSeq: 1, toSeq: 2, events: '["e"]' }],
    })
  })
})
