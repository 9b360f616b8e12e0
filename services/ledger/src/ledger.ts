import { SpanKind } from '@opentelemetry/api'
import { type ChangeRecord, createTopics, type Plan, type TicketKey } from '@weir/contracts'
import {
  createAdmin,
  createConsumer,
  createProducer,
  createReader,
  type Kafka,
  partitionFor,
} from '@weir/kafka'
import {
  adoptPartition,
  initOffsets,
  listInFlight,
  loadPlans,
  loadRuns,
  type Pool,
  query,
  withTransaction,
} from '@weir/postgres'
import {
  isSampled,
  type Logger,
  type Metrics,
  type ReadyCheck,
  startSpan,
  traceparentOf,
  withLogContext,
} from '@weir/runtime'
import { createCancelSweep } from './cancel-sweep.ts'
import { createGroupCommit } from './group-commit.ts'
import { createInstances } from './instances.ts'
import { createPartitionFold, type PartitionFold, type RunKey } from './partition-fold.ts'
import { type PartitionWorker, startWorker } from './partition-worker.ts'
import { createPlans } from './plans.ts'
import type { RunBook } from './run-book.ts'

const DEADLINE_SWEEP_MS = 1_000
const IN_FLIGHT_PAGE = 1_000
const HINT_WAIT_MS = 5_000
const CANCEL_HINT = `"kind":"${'cancelling' satisfies ChangeRecord['kind']}"`

/** Most of what is on the topic is this service's own: it is not parsed to be passed over. */
const isCancelHint = (value: Buffer | null): boolean => value?.includes(CANCEL_HINT) === true

export type LedgerOptions = {
  readonly kafka: Kafka
  readonly pool: Pool
  readonly prefix: string
  readonly keys: readonly TicketKey[]
  readonly instanceId: string
  readonly log: Logger
  readonly metrics: Metrics
  readonly fail: (error: unknown) => void
}

export type Ledger = { readonly checks: readonly ReadyCheck[]; stop(): Promise<void> }

type Owned = {
  readonly fold: PartitionFold
  readonly worker: PartitionWorker
  readonly generation: number
}

/**
 * The ledger: folds what stages report into Postgres, exactly once per event, numbers each job's
 * events, and decides when a run ends. Works on the partitions of the events topic that its consumer
 * group gives it; which offset a partition stands at is Postgres' word alone.
 */
export async function startLedger(options: LedgerOptions): Promise<Ledger> {
  const { kafka, pool, keys, log, metrics } = options
  const topics = createTopics(options.prefix)
  const admin = createAdmin({ kafka })
  const producer = createProducer({ kafka })
  const instances = createInstances()
  const plans = createPlans(async (ids) => {
    const rows = await withTransaction(pool, (tx) => loadPlans(tx, ids))
    return rows.map((row) => JSON.parse(row.plan) as Plan)
  })
  const commits = createGroupCommit(pool)
  const owned = new Map<number, Owned>()
  let partitionCount = 0
  let assigned = false

  const ended = metrics.counter('weir_runs_ended_total', 'Runs that ended, by status', {
    status: ['completed', 'completed_with_failures', 'failed', 'cancelled', 'dropped'],
  })
  const reports = (name: keyof PartitionFold['counters']) => () => {
    let sum = 0
    for (const { fold } of owned.values()) sum += fold.counters[name]
    return sum
  }
  metrics.gaugeOf(
    'weir_ledger_reports',
    'Task reports folded on the partitions held',
    reports('reports'),
  )
  metrics.gaugeOf('weir_ledger_reports_late', 'Reports for runs that were over', reports('late'))
  metrics.gaugeOf('weir_ledger_reports_forged', 'Reports without a valid tag', reports('forged'))
  metrics.gaugeOf('weir_ledger_reports_ignored', 'Reports that changed nothing', reports('ignored'))
  metrics.gaugeOf('weir_ledger_runs_open', 'Runs held in memory', () => {
    let sum = 0
    for (const { fold } of owned.values()) sum += fold.runs
    return sum
  })

  metrics.gaugeOf(
    'weir_ledger_behind_seconds',
    'Age of the oldest record that Postgres does not have yet, of those that were read',
    () => {
      const nowMs = Date.now()
      return Math.max(0, ...[...owned.values()].map((own) => own.worker.behindMs(nowMs))) / 1_000
    },
  )

  const load = async (wanted: readonly RunKey[]) => {
    const runs = await loadRuns(pool, wanted)
    return { runs, plans: await plans.find(runs.map((run) => run.planId)) }
  }

  const onEnded = (books: readonly RunBook[], nowMs: number) => {
    for (const book of books) {
      ended.inc({ status: book.state.status as 'completed' })
      const { tenant, job, run, correlation, traceparent } = book
      const { status } = book.state
      const span = isSampled(traceparent) ? startEndSpan(book, nowMs) : undefined
      const own = (span && traceparentOf(span)) ?? traceparent
      withLogContext({ tenant, job, run, correlation, traceparent: own }, () =>
        log.info({ status, events: book.seq }, 'run ended'),
      )
      span?.end()
    }
  }

  /** The last span of a run: the fold that ended it. */
  const startEndSpan = (book: RunBook, nowMs: number) =>
    startSpan(`process ${topics.events}`, {
      kind: SpanKind.CONSUMER,
      parent: book.traceparent,
      startTimeMs: nowMs,
      attributes: {
        'messaging.system': 'kafka',
        'messaging.operation.name': 'process',
        'messaging.operation.type': 'process',
        'messaging.destination.name': topics.events,
        'messaging.message.conversation_id': book.correlation,
        'weir.job.id': book.job,
        'weir.tenant.id': book.tenant,
        'weir.run': book.run,
        'weir.job.status': book.state.status,
      },
    })

  /** Runs in flight whose events are in this partition and may have been decided before a crash. */
  const adoptRuns = async (partition: number, fold: PartitionFold) => {
    let after: { tenant: string; job: string } | undefined
    for (;;) {
      const page = await listInFlight(pool, IN_FLIGHT_PAGE, after)
      const own = page.filter(
        (run) => run.hasEvents && partitionFor(run.job, partitionCount) === partition,
      )
      if (own.length > 0) {
        const loaded = await load(own)
        fold.adopt(loaded.runs, loaded.plans, Date.now())
      }
      if (page.length < IN_FLIGHT_PAGE) return
      const last = page.at(-1) as (typeof page)[number]
      after = { tenant: last.tenant, job: last.job }
    }
  }

  const take = async (partition: number, generation: number) => {
    const owner = `${options.instanceId}/${generation}`
    const start = await withTransaction(pool, (tx) => adoptPartition(tx, partition, owner))
    if (start === undefined) throw new Error(`partition ${partition} has no row in ledger_offsets`)
    const fold = createPartitionFold({ partition, owner, start, keys, instances, load })
    await adoptRuns(partition, fold)
    if (consumer.generation() !== generation) return
    const worker = startWorker({
      fold,
      commits,
      producer,
      topics,
      log,
      pause: () => consumer.pause(topics.events, partition),
      resume: () => consumer.resume(topics.events, partition),
      onEnded,
      onConflict: () => retake(partition, generation),
    })
    owned.set(partition, { fold, worker, generation })
    consumer.seek(topics.events, partition, start)
    consumer.resume(topics.events, partition)
  }

  const retake = (partition: number, generation: number) => {
    owned.delete(partition)
    if (consumer.generation() !== generation) return
    consumer.pause(topics.events, partition)
    log.warn({ partition }, 'the partition is taken anew')
    begin(partition, generation)
  }

  const begin = (partition: number, generation: number, tries = 0) => {
    take(partition, generation).catch((error: unknown) => {
      log.warn({ err: error, partition }, 'a partition could not be taken; trying again')
      const waitMs = Math.min(200 * 2 ** tries, 5_000)
      setTimeout(() => {
        if (consumer.generation() === generation) begin(partition, generation, tries + 1)
      }, waitMs).unref()
    })
  }

  const counts = await admin.partitionCounts([topics.events])
  partitionCount = counts.get(topics.events) ?? 0
  if (partitionCount === 0) {
    throw new Error(`the topic ${topics.events} is not there yet: start control first`)
  }
  await withTransaction(pool, (tx) =>
    initOffsets(
      tx,
      Array.from({ length: partitionCount }, (_, partition) => ({ partition, nextOffset: 0 })),
    ),
  )
  await producer.connect()

  const registry = createReader({
    kafka,
    topics: [topics.registry],
    from: 'earliest',
    onRecords: (_topic, _partition, records) => instances.read(records, Date.now()),
    onFatal: options.fail,
  })
  await registry.caughtUp

  const consumer = createConsumer({
    kafka,
    groupId: topics.ledgerGroup,
    topics: [topics.events],
    sessionTimeoutMs: 6_000,
    heartbeatMs: 1_500,
    maxWaitMs: 1_000,
    onRevoked: (partitions) => {
      for (const { partition } of partitions) {
        const gone = owned.get(partition)
        owned.delete(partition)
        gone?.worker.stop().catch((error: unknown) => log.warn({ err: error }, 'a worker failed'))
      }
    },
    onAssigned: (assignment, generation) => {
      assigned = true
      for (const { partition } of assignment) {
        // Taken anew in each generation: the owner's name in Postgres carries it.
        const old = owned.get(partition)
        owned.delete(partition)
        Promise.resolve(old?.worker.stop())
          .catch((error: unknown) => log.warn({ err: error }, 'a worker failed'))
          .finally(() => begin(partition, generation))
      }
    },
    onRecords: (_topic, partition, records) => owned.get(partition)?.worker.push(records),
    onOffsetOutOfRange: (topic, partition) => {
      options.fail(
        new Error(`${topic}/${partition} no longer has the offset that the ledger stands at`),
      )
    },
    onFatal: options.fail,
  })

  const sweep = setInterval(() => {
    expireRuns().catch((error: unknown) => log.warn({ err: error }, 'the deadline sweep failed'))
  }, DEADLINE_SWEEP_MS)
  sweep.unref()

  const expireRuns = async () => {
    const late = await query<RunKey>(pool, {
      name: 'list-expired-runs',
      text: `select tenant_id as tenant, job_id as job, run from in_flight
        where not_after <= clock_timestamp() limit 1000`,
    })
    if (late.length === 0) return
    for (const [{ worker }, keysOf] of byWorker(late)) worker.expire(keysOf)
  }

  /** Of what is found in all partitions, what those that are held here are to do. */
  const byWorker = <Key extends RunKey>(found: readonly Key[]): [Owned, Key[]][] =>
    [...Map.groupBy(found, ({ job }) => owned.get(partitionFor(job, partitionCount)))].flatMap(
      ([own, keysOf]) => (own === undefined ? [] : [[own, keysOf] as [Owned, Key[]]]),
    )

  const cancels = createCancelSweep({
    pool,
    log,
    onFound: (requests) => {
      for (const [{ worker }, own] of byWorker(requests)) worker.cancel(own)
    },
  })
  const hints = createReader({
    kafka,
    topics: [topics.changes],
    from: 'latest',
    maxWaitMs: HINT_WAIT_MS,
    onRecords: (_topic, _partition, records) => {
      if (records.some(({ value }) => isCancelHint(value))) cancels.hint()
    },
    onFatal: options.fail,
  })

  return {
    checks: [
      {
        name: 'kafka',
        check: () => {
          if (!assigned) throw new Error('no partition has been assigned yet')
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
      clearInterval(sweep)
      await Promise.all([cancels.stop(), hints.stop()])
      await consumer.stop()
      await Promise.all([...owned.values()].map(({ worker }) => worker.stop()))
      await registry.stop()
      await producer.disconnect()
      await admin.disconnect()
    },
  }
}
