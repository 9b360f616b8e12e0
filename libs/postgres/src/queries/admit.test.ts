import assert from 'node:assert/strict'
import { after, before, beforeEach, describe, it } from 'node:test'
import { newUuid } from '@weir/contracts'
import { cloneDatabase, type TestDatabase } from '../../../../test/support/database.ts'
import type { Pool } from '../pool.ts'
import { asTenant } from '../single-statements.ts'
import { admitJobs, type JobAnswer, type NewJob } from './admit.ts'
import { newJob } from './fixtures.ts'
import { updateTenant } from './tenants.ts'

let db: TestDatabase
let control: Pool
let tenant: string

before(async () => {
  db = await cloneDatabase()
  control = db.pool('weir_control', 16)
})
after(() => db.drop())

beforeEach(async () => {
  tenant = newUuid()
  await db.addTenant(tenant, `t-${tenant}`)
})

const admit = (jobs: NewJob[], allOrNone = false): Promise<JobAnswer[]> =>
  admitJobs(control, tenant, jobs, { allOrNone })
const many = (count: number, change: Partial<NewJob> = {}): NewJob[] =>
  Array.from({ length: count }, () => newJob(change))
const setQuotas = (quotas: Parameters<typeof updateTenant>[2]['quotas']) =>
  updateTenant(asTenant(control, tenant), tenant, { quotas: quotas ?? {} })
const outcomes = (answers: JobAnswer[]): string[] => answers.map((answer) => answer.outcome)
const usage = async () =>
  (
    await db.admin<{ queued: number; stored_bytes: number; virtual_finish: number }>(
      'select * from tenant_usage where tenant_id = $1',
      [tenant],
    )
  )[0] as { queued: number; stored_bytes: number; virtual_finish: number }

describe('admission', () => {
  it('writes job, queue row and usage in the order of submission', async () => {
    const jobs = many(3, { tags: ['a=1', 'quote="\\x"'], input: '{"ü":"\\"'.padEnd(20, ' ') })
    assert.deepEqual(
      await admit(jobs),
      jobs.map((job) => ({ outcome: 'admitted', id: job.id })),
    )
    const queued = await db.admin(
      'select job_id, band, held, run from job_queue where tenant_id = $1 order by virtual_finish',
      [tenant],
    )
    assert.deepEqual(
      queued,
      jobs.map((job) => ({ job_id: job.id, band: 1, held: false, run: 1 })),
    )
    const stored = await db.admin('select tags, input, status from jobs where tenant_id = $1', [
      tenant,
    ])
    assert.deepEqual(stored[0], { tags: jobs[0]?.tags, input: jobs[0]?.input, status: 'open' })
    const used = await usage()
    assert.equal(used.queued, 3)
    assert.equal(
      used.stored_bytes,
      jobs.reduce((sum, job) => sum + Buffer.byteLength(job.input), 0),
    )
  })

  it('answers a repeated idempotency key with the first job and charges nothing for it', async () => {
    const hash = Buffer.from('one')
    const first = newJob({ idempotencyKey: 'k', bodyHash: hash })
    await admit([first])
    const before = await usage()
    const answers = await admit([
      newJob({ idempotencyKey: 'k', bodyHash: hash }),
      newJob({ idempotencyKey: 'k', bodyHash: Buffer.from('other') }),
    ])
    assert.deepEqual(answers, [
      { outcome: 'repeated', id: first.id, sameBody: true },
      { outcome: 'repeated', id: first.id, sameBody: false },
    ])
    assert.deepEqual(await usage(), before)
  })

  it('takes equal keys within one call as one job', async () => {
    const hash = Buffer.from('one')
    const jobs = many(3, { idempotencyKey: 'k', bodyHash: hash })
    const answers = await admit([...jobs, newJob()])
    assert.deepEqual(outcomes(answers), ['admitted', 'repeated', 'repeated', 'admitted'])
    assert.equal((await usage()).queued, 2)
  })

  it('keeps keys apart by pipeline', async () => {
    const hash = Buffer.from('one')
    const answers = await admit([
      newJob({ idempotencyKey: 'k', bodyHash: hash }),
      newJob({ idempotencyKey: 'k', bodyHash: hash, pipeline: 'other' }),
    ])
    assert.deepEqual(outcomes(answers), ['admitted', 'admitted'])
  })

  it('forgets a key after its time', async () => {
    const hash = Buffer.from('one')
    await admit([newJob({ idempotencyKey: 'k', bodyHash: hash })])
    await db.admin(
      `update submit_keys set created_at = created_at - interval '25 hours' where tenant_id = $1`,
      [tenant],
    )
    const again = newJob({ idempotencyKey: 'k', bodyHash: hash })
    assert.deepEqual(await admit([again]), [{ outcome: 'admitted', id: again.id }])
    assert.deepEqual(outcomes(await admit([newJob({ idempotencyKey: 'k', bodyHash: hash })])), [
      'repeated',
    ])
  })

  it('makes one job of concurrent submits under one key', async () => {
    const hash = Buffer.from('one')
    const answers = await Promise.all(
      many(20, { idempotencyKey: 'k', bodyHash: hash }).map((job) => admit([job])),
    )
    const ids = new Set(answers.flat().map((answer) => 'id' in answer && answer.id))
    assert.equal(ids.size, 1)
    assert.equal((await usage()).queued, 1)
  })

  it('admits the longest prefix and names the quota that stopped the rest', async () => {
    await setQuotas({ maxQueuedJobs: 2 })
    assert.deepEqual(outcomes(await admit(many(3))), ['admitted', 'admitted', 'refused'])
    assert.deepEqual(await admit([newJob()]), [
      { outcome: 'refused', quota: 'maxQueuedJobs', retryAfterMs: null },
    ])
  })

  it('admits nothing of a batch that does not fit as a whole', async () => {
    await setQuotas({ maxQueuedJobs: 2 })
    assert.deepEqual(outcomes(await admit(many(3), true)), ['refused', 'refused', 'refused'])
    assert.equal((await usage()).queued, 0)
    assert.equal((await db.admin('select 1 from jobs where tenant_id = $1', [tenant])).length, 0)
  })

  it('does not count a repeat of a job that it refused', async () => {
    await setQuotas({ maxQueuedJobs: 1 })
    const hash = Buffer.from('one')
    const answers = await admit([newJob(), ...many(2, { idempotencyKey: 'k', bodyHash: hash })])
    assert.deepEqual(outcomes(answers), ['admitted', 'refused', 'refused'])
    assert.equal(
      (await db.admin('select 1 from submit_keys where tenant_id = $1', [tenant])).length,
      0,
    )
  })

  it('stops at the payload and at the stored bytes that are allowed', async () => {
    await setQuotas({ maxPayloadBytes: 10, maxStoredBytes: 15 })
    const answers = await admit([newJob({ input: '12345678' }), newJob({ input: '12345678901' })])
    assert.deepEqual(answers[1], {
      outcome: 'refused',
      quota: 'maxPayloadBytes',
      retryAfterMs: null,
    })
    const [full] = await admit([newJob({ input: '12345678' })])
    assert.deepEqual(full, { outcome: 'refused', quota: 'maxStoredBytes', retryAfterMs: null })
  })

  it('refuses beyond the burst and tells a time after which it admits', async () => {
    await setQuotas({ submitRatePerSecond: 10, submitBurst: 3 })
    const answers = await admit(many(5))
    assert.deepEqual(outcomes(answers), ['admitted', 'admitted', 'admitted', 'refused', 'refused'])
    const refused = answers[3]
    assert.ok(refused?.outcome === 'refused' && refused.quota === 'submitRatePerSecond')
    assert.ok(
      refused.retryAfterMs !== null && refused.retryAfterMs > 0 && refused.retryAfterMs <= 100,
    )
    // As if that time had passed.
    await db.admin(
      `update tenant_usage set tat = tat - $2 * interval '1 millisecond' where tenant_id = $1`,
      [tenant, refused.retryAfterMs],
    )
    assert.deepEqual(outcomes(await admit([newJob()])), ['admitted'])
  })

  it('has no time to tell for a batch larger than the burst', async () => {
    await setQuotas({ submitRatePerSecond: 10, submitBurst: 3 })
    const [answer] = await admit(many(4), true)
    assert.deepEqual(answer, {
      outcome: 'refused',
      quota: 'submitRatePerSecond',
      retryAfterMs: null,
    })
  })

  it('admits exactly the quota under concurrent submits', async () => {
    await setQuotas({ maxQueuedJobs: 100 })
    const answers = await Promise.all(many(160).map((job) => admit([job])))
    assert.equal(outcomes(answers.flat()).filter((outcome) => outcome === 'admitted').length, 100)
    assert.equal((await usage()).queued, 100)
  })

  it('spreads virtual finish times by the weight of the tenant', async () => {
    await setQuotas({ weight: 4 })
    await admit(many(4))
    const start = (await usage()).virtual_finish
    await admit(many(4))
    assert.equal((await usage()).virtual_finish - start, 1)
  })

  it('holds jobs behind the first of their ordering key', async () => {
    await admit([
      newJob({ orderingKey: 'a' }),
      newJob({ orderingKey: 'a' }),
      newJob({ orderingKey: 'b' }),
    ])
    await admit([newJob({ orderingKey: 'a' })])
    const rows = await db.admin<{ ordering_key: string; held: boolean }>(
      'select ordering_key, held from job_queue where tenant_id = $1 order by virtual_finish',
      [tenant],
    )
    assert.deepEqual(
      rows.map((row) => [row.ordering_key, row.held]),
      [
        ['a', false],
        ['a', true],
        ['b', false],
        ['a', true],
      ],
    )
  })
})
