import { type ChangeRecord, createTopics, limits, type Plan } from '@weir/contracts'
import { createGates } from '@weir/core'
import {
  createAdmin,
  createProducer,
  createReader,
  type Kafka,
  type KafkaRecord,
  type OutRecord,
} from '@weir/kafka'
import {
  advanceClock,
  claimJobs,
  type InFlightRun,
  type Lease,
  listInFlight,
  listQueueHeads,
  loadClaimed,
  type Pool,
  query,
  readOffsets,
  releaseLease,
  renewLease,
  sweepSubmitKeys,
  takeLease,
  withTransaction,
} from '@weir/postgres'
import {
  createBell,
  type Logger,
  type Metrics,
  type ReadyCheck,
  withLogContext,
} from '@weir/runtime'
import { createFigures } from './figures.ts'
import { type Dispatchable, firstMessages } from './first-messages.ts'
import { relayOutbox } from './outbox-relay.ts'
import { CLAIM_MAX, pickJobs, type StageCredits } from './pick-jobs.ts'
import { createPlanShelf } from './plan-shelf.ts'
import { createRoom } from './room.ts'
import { markSend } from './send-span.ts'
import { createStagesView } from './stages-view.ts'
import { createTicketOffice } from './ticket-office.ts'

/*
 * One dispatcher works at a time. What it keeps to:
 *
 * 1. A job is claimed (committed in Postgres) before its first message is produced.
 * 2. Nothing is claimed or produced under a lease whose last renewal is older than its term.
 * 3. A new holder first produces again what was claimed and left no event, once the ledger has
 *    folded everything that was reported up to the takeover.
 */

const LEASE = 'dispatcher'
const LEASE_TERM_MS = 5_000
const LEASE_RENEW_MS = 1_500
/** Later than this a turn renews before it works, not after: work must not push the renewal away. */
const LEASE_RENEW_LATEST_MS = 2_500
const POLL_MS = 250
const RELEASED_MS = 10
const RECONCILE_MS = 5_000
const SWEEP_KEYS_MS = 60_000
const HEADS_MAX = 1_000
const IN_FLIGHT_PAGE = 1_000
const CATCH_UP_MAX_MS = 60_000
/** No cap yet beside the tenant's own quota for jobs in flight. */
const TENANT_CAP = 1_000_000

export type DispatcherOptions = {
  readonly kafka: Kafka
  readonly pool: Pool
  readonly prefix: string
  readonly masterKey: Buffer
  readonly instanceId: string
  readonly log: Logger
  readonly metrics: Metrics
  readonly fail: (error: unknown) => void
}

export type Dispatcher = { readonly checks: readonly ReadyCheck[]; stop(): Promise<void> }

export async function startDispatcher(options: DispatcherOptions): Promise<Dispatcher> {
  const { kafka, pool, log, metrics } = options
  const topics = createTopics(options.prefix)
  const admin = createAdmin({ kafka })
  const producer = createProducer({ kafka })
  await producer.connect()

  const gates = createGates(() => performance.now())
  let areGatesNew = false
  const stages = createStagesView(gates)
  const tickets = createTicketOffice(options.masterKey, stages.keyIdsOf)
  const room = createRoom(stages.limitOf)
  const figures = createFigures({ pool, producer, topics, room, log, metrics })
  const messages = { topics, tickets, laneOf: stages.laneOf }

  const dispatched = metrics.counter(
    'weir_jobs_dispatched_total',
    'Jobs whose first messages were sent',
  )
  const relayed = metrics.counter('weir_outbox_relayed_total', 'Records relayed from the outbox')
  const gateDelay = metrics.histogram(
    'weir_dispatch_gate_delay_seconds',
    'Time from the publication of a gate until it is obeyed',
  )
  metrics.gaugeOf('weir_dispatch_runs', 'Runs that hold slots', () => room.runs)
  metrics.gaugeOf('weir_dispatch_leading', '1 while this instance dispatches', () =>
    leading ? 1 : 0,
  )

  let stopped = false
  let leading = false
  let lease: Lease | undefined
  let renewedAtMs = Number.NEGATIVE_INFINITY
  /** Jobs were waiting at the last look. */
  let hasBacklog = false
  let later: NodeJS.Timeout | undefined
  let stageCredits: StageCredits | undefined
  let lastTurnMs = performance.now()

  const hints = createBell()
  const hint = hints.ring

  const hintLater = () => {
    later = undefined
    hint()
  }

  const follow = (
    topic: string,
    from: 'earliest' | 'latest',
    read: (records: readonly KafkaRecord[]) => void,
  ) =>
    createReader({
      kafka,
      topics: [topic],
      from,
      maxWaitMs: 5_000,
      onRecords: (_topic, _partition, records) => read(records),
      onFatal: options.fail,
    })

  const readControl = (records: readonly KafkaRecord[]) => {
    stages.read(records)
    hint()
  }
  const control = follow(topics.control, 'earliest', readControl)
  const readChanges = (records: readonly KafkaRecord[]) => {
    for (const { value } of records) {
      if (value === null) continue
      const change = JSON.parse(value.toString()) as ChangeRecord
      if (change.kind === 'queued') hint()
      else if (change.kind === 'runs') {
        for (const run of change.runs) room.apply(run)
        // Room matters at once where jobs wait for it. Where none did, an end can still release the
        // next job of an ordering key, which may wait a moment.
        if (hasBacklog) hint()
        else later ??= setTimeout(hintLater, RELEASED_MS)
      }
    }
  }
  const changes = follow(topics.changes, 'latest', readChanges)
  const readGates = (records: readonly KafkaRecord[]) => {
    let isGate = false
    for (const { key, value, timestamp } of records) {
      const heard = gates.take(key?.toString() ?? '', value, areGatesNew)
      if (!areGatesNew || heard == null || 'beat' in heard) continue
      isGate = true
      // From the broker's clock to this one's: what is below 0 is their difference.
      gateDelay.observe({}, Math.max(0, Date.now() - timestamp) / 1_000)
    }
    if (isGate && hasBacklog) hint()
  }
  const gateReader = follow(topics.gates, 'earliest', readGates)
  await Promise.all([control.caughtUp, changes.caughtUp, gateReader.caughtUp])
  areGatesNew = true
  const shelf = await createPlanShelf({ kafka, producer, pool, topics, onFatal: options.fail })

  /** By the monotonic clock, counted from before the renewal was asked for. */
  const holdsLease = () => lease !== undefined && performance.now() - renewedAtMs < LEASE_TERM_MS

  const produce = async (jobs: readonly Dispatchable[], plans: ReadonlyMap<string, Plan>) => {
    const wanted = jobs.flatMap((job) => plans.get(job.planId) ?? [])
    const offsets = await shelf.publish(wanted)
    const records: OutRecord[] = []
    for (const job of jobs) {
      const plan = plans.get(job.planId)
      if (plan === undefined) {
        const { tenant, run, correlationId: correlation, traceparent } = job
        const known = { tenant, job: job.job, run, correlation }
        withLogContext({ ...known, ...(traceparent !== null && { traceparent }) }, () =>
          log.error({ plan: job.planId }, 'a claimed job names a plan that is not there'),
        )
        continue
      }
      const offset = offsets.get(plan.id) as number
      const contextOf = (topic: string, id: string) => markSend(job, topic, id)
      records.push(...firstMessages(messages, plan, offset, job, contextOf))
    }
    // Not under a lease that may have passed on: the next holder produces it then.
    if (!holdsLease()) throw new Error('the lease ran out before a claim was produced')
    await producer.send(records)
    dispatched.inc({}, jobs.length)
  }

  /** One claim and its messages; true where there may be more to do at once. */
  const dispatch = async (): Promise<boolean> => {
    const heads = await listQueueHeads(pool, HEADS_MAX)
    hasBacklog = heads.length > 0
    if (!hasBacklog) return false
    const plans = await shelf.load(heads.map((head) => head.planId))
    const { picks, bandLimits, credits, isTight } = pickJobs(heads, plans, room, stageCredits)
    stageCredits = credits
    if (picks.length === 0 || !holdsLease()) return false
    const claimed = await claimJobs(pool, {
      picks,
      bandLimits,
      tenantCap: TENANT_CAP,
      runMaxMs: limits.runMaxMs,
      lease: lease as Lease,
    })
    for (const job of claimed) {
      const plan = plans.get(job.planId)
      if (plan !== undefined) room.take(plan, job.job, job.run)
    }
    if (claimed.length === 0) return false
    const clock = Math.min(...claimed.map((job) => job.virtualFinish))
    await Promise.all([produce(claimed, plans), advanceClock(pool, clock)])
    const given = bandLimits.reduce((sum, limit) => sum + limit, 0)
    return claimed.length >= CLAIM_MAX / 2 || (isTight && claimed.length < given)
  }

  const pages = async function* (): AsyncGenerator<InFlightRun[]> {
    let after: { tenant: string; job: string } | undefined
    for (;;) {
      const page = await listInFlight(pool, IN_FLIGHT_PAGE, after)
      yield page
      const last = page.at(-1)
      if (last === undefined || page.length < IN_FLIGHT_PAGE) return
      after = { tenant: last.tenant, job: last.job }
    }
  }

  /** What the ledger has not folded yet of what was reported before now may tell of a claim. */
  const waitForLedger = async () => {
    const ends = await admin.fetchEndOffsets([topics.events])
    const deadline = performance.now() + CATCH_UP_MAX_MS
    for (;;) {
      const rows = await withTransaction(pool, readOffsets)
      const at = new Map(rows.map((row) => [row.partition, row.nextOffset]))
      if (
        ends.every(({ partition, offset }) => offset === 0 || (at.get(partition) ?? 0) >= offset)
      ) {
        return
      }
      if (stopped) return
      if (performance.now() > deadline) {
        log.warn({}, 'the ledger is behind; claims are produced again before it has caught up')
        return
      }
      await keepLease()
      await new Promise((resolve) => setTimeout(resolve, 50))
    }
  }

  const takeOver = async () => {
    log.info({}, 'this instance dispatches now')
    await waitForLedger()
    let again = 0
    for await (const page of pages()) {
      const plans = await shelf.load(page.map((run) => run.planId))
      for (const run of page) {
        const plan = plans.get(run.planId)
        if (plan !== undefined) room.take(plan, run.job, run.run)
      }
      const silent = page.filter((run) => !run.hasEvents)
      if (silent.length === 0) continue
      await keepLease()
      const jobs = await loadClaimed(pool, silent)
      await produce(jobs, plans)
      again += jobs.length
    }
    if (again > 0) log.info({ jobs: again }, 'claims without an event were produced again')
  }

  /** Hints get lost: who is no longer in flight holds nothing. */
  const reconcile = async () => {
    const before = new Set<string>()
    for await (const page of pages()) for (const run of page) before.add(`${run.job}/${run.run}`)
    room.keepOnly(before)
  }

  const keepLease = async (renewAfterMs = LEASE_RENEW_MS) => {
    const askedAt = performance.now()
    if (lease === undefined) {
      lease = await withTransaction(pool, (tx) =>
        takeLease(tx, LEASE, options.instanceId, LEASE_TERM_MS),
      )
      if (lease !== undefined) renewedAtMs = askedAt
      return
    }
    if (askedAt - renewedAtMs < renewAfterMs) return
    const held = lease
    if (await withTransaction(pool, (tx) => renewLease(tx, held, LEASE_TERM_MS)))
      renewedAtMs = askedAt
    else {
      log.warn({}, 'the lease has passed to another instance')
      lease = undefined
      leading = false
      figures.clear()
    }
  }

  let reconciledAt = performance.now()
  let relayedAt = 0
  let sweptAt = performance.now()

  const relayDue = async (now: number) => {
    if (now - relayedAt < POLL_MS) return
    relayedAt = now
    const count = await relayOutbox(pool, producer)
    if (count > 0) relayed.inc({}, count)
  }

  const turn = async (): Promise<boolean> => {
    await keepLease(LEASE_RENEW_LATEST_MS)
    if (lease === undefined || !holdsLease()) return false
    if (!leading) {
      await takeOver()
      leading = true
    }
    const now = performance.now()
    const [more] = await Promise.all([dispatch(), relayDue(now)])
    if (holdsLease()) figures.tell(lease, hasBacklog)
    if (now - reconciledAt > RECONCILE_MS) {
      reconciledAt = now
      await reconcile()
    }
    if (now - sweptAt > SWEEP_KEYS_MS) {
      sweptAt = now
      await withTransaction(pool, (tx) => sweepSubmitKeys(tx, 10_000))
    }
    // After the work: a renewal is a commit, and the jobs of this turn need not wait for it.
    await keepLease()
    return more
  }

  const loop = async () => {
    let failures = 0
    while (!stopped) {
      let more = false
      try {
        more = await turn()
        lastTurnMs = performance.now()
        failures = 0
      } catch (error) {
        failures += 1
        // Produced or not is not known: as after a takeover, what left no event is produced again.
        leading = false
        log.warn({ err: error, failures }, 'a turn of the dispatcher failed')
        await new Promise((resolve) => setTimeout(resolve, Math.min(100 * 2 ** failures, 2_000)))
      }
      await hints.heard(more ? 0 : POLL_MS)
    }
  }
  const running = loop()

  return {
    checks: [
      {
        name: 'dispatcher',
        check: () => {
          if (performance.now() - lastTurnMs > 30_000) throw new Error('no turn for 30 s')
        },
      },
      {
        name: 'postgres',
        check: async () => {
          await query(pool, { name: 'ping', text: 'select 1 as one' })
        },
      },
    ],
    async stop() {
      stopped = true
      clearTimeout(later)
      hint()
      await running
      const held = lease
      if (held !== undefined) await withTransaction(pool, (tx) => releaseLease(tx, held))
      await Promise.all([control.stop(), changes.stop(), gateReader.stop(), shelf.stop()])
      await producer.disconnect()
      await admin.disconnect()
    },
  }
}
