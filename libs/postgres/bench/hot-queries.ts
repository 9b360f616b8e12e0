import { newUuid } from '@weir/contracts'
import {
  admitJobs,
  adoptPartition,
  asRole,
  type ClaimedJob,
  claimJobs,
  commitFolds,
  initOffsets,
  type Lease,
  loadRuns,
  type NewJob,
  type Pool,
  takeLease,
} from '@weir/postgres'
import { cloneDatabase } from '../../../test/support/database.ts'

// Prints what a job costs in admission, claim and fold, in microseconds of wall time, by the size
// of a batch. One caller after another, so at a batch of 1 most of it is the flush of a commit.

const input = JSON.stringify({ rows: 'x'.repeat(480) })
const events = JSON.stringify(
  Array.from({ length: 6 }, (_, seq) => ({ seq, data: 'y'.repeat(90) })),
)
const jobsPerSize = { 1: 300, 20: 4_000, 100: 10_000 } as const

const db = await cloneDatabase()
try {
  const pools = {
    control: db.pool('weir_control'),
    dispatcher: db.pool('weir_dispatcher'),
    ledger: db.pool('weir_ledger'),
  }
  const tenants = Array.from({ length: 10 }, () => newUuid())
  for (const tenant of tenants) await db.addTenant(tenant, tenant)
  await db.admin(`update tenants set submit_rate_per_second = 1000000, submit_burst = 10000000`)
  const lease = await takeLease(asRole(pools.dispatcher), 'dispatcher', 'me', 3_600_000)
  if (lease === undefined) throw new Error('the lease is taken')
  await initOffsets(asRole(pools.ledger), [{ partition: 0, nextOffset: 0 }])
  await adoptPartition(asRole(pools.ledger), 0, 'me')
  for (let round = 1; round <= 2; round += 1) {
    for (const [size, jobs] of Object.entries(jobsPerSize)) {
      await measure(pools, lease, tenants, Number(size), jobs)
    }
  }
} finally {
  await db.drop()
}

async function measure(
  pools: { control: Pool; dispatcher: Pool; ledger: Pool },
  lease: Lease,
  tenants: readonly string[],
  size: number,
  jobs: number,
): Promise<void> {
  const spent = { admit: 0, claim: 0, load: 0, fold: 0 }
  const timed = async <T>(name: keyof typeof spent, work: () => Promise<T>): Promise<T> => {
    const start = performance.now()
    const value = await work()
    spent[name] += performance.now() - start
    return value
  }
  for (let done = 0; done < jobs; done += size) {
    const tenant = tenants[(done / size) % tenants.length] as string
    const batch = Array.from({ length: size }, () => newJob())
    await timed('admit', () => admitJobs(pools.control, tenant, batch, { allOrNone: false }))
  }
  for (let done = 0; done < jobs; ) {
    const claimed = await timed('claim', () =>
      claimJobs(pools.dispatcher, {
        picks: [{ planId: 'plan', band: 1, limit: size }],
        bandLimits: [size, size, size, size],
        tenantCap: 1_000_000,
        runMaxMs: 86_400_000,
        lease,
      }),
    )
    if (claimed.length === 0) throw new Error('nothing could be claimed')
    done += claimed.length
    await timed('load', () => loadRuns(pools.ledger, claimed))
    await timed('fold', () => foldAll(pools.ledger, claimed))
  }
  const cells = Object.entries(spent).map(
    ([name, ms]) => `${name} ${((ms * 1_000) / jobs).toFixed(1).padStart(7)}`,
  )
  console.log(`batch ${String(size).padStart(4)}: ${cells.join('  ')}  µs per job`)
}

async function foldAll(ledger: Pool, claimed: readonly ClaimedJob[]): Promise<void> {
  const [row] = await db.admin<{ next: number }>('select next_offset as next from ledger_offsets')
  const fromOffset = row?.next ?? 0
  const answer = await commitFolds(ledger, [
    {
      partition: 0,
      fromOffset,
      toOffset: fromOffset + 1,
      owner: 'me',
      chunks: claimed.map((each) => ({ ...each, fromSeq: 1, toSeq: 6, events })),
      payloads: [],
      artifacts: [],
      endedSteps: [],
      ended: claimed.map((each) => ({
        ...each,
        status: 'completed',
        finishedAt: Date.now(),
        lastSeq: 6,
        error: null,
        failedStep: null,
        isCancelKnown: false,
      })),
    },
  ])
  if (answer !== 'committed') throw new Error('the fold was refused')
}

function newJob(): NewJob {
  return {
    id: newUuid(),
    pipeline: 'delays',
    version: 1,
    planId: 'plan',
    priority: 128,
    orderingKey: null,
    correlationId: newUuid(),
    traceparent: '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01',
    tags: ['team=flights'],
    input,
    deadlineMs: null,
    weight: 1,
    idempotencyKey: null,
    bodyHash: null,
  }
}
