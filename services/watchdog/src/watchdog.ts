import { createTopics, type StageRecord } from '@weir/contracts'
import { createAdmin, createProducer, createReader, type Kafka, KafkaError } from '@weir/kafka'
import { createBell, type Logger, type Metrics, type ReadyCheck } from '@weir/runtime'
import { createGateBoard, type GateBoard } from './gate-board.ts'
import { createGateKeeper, type GateKeeper } from './gate-keeper.ts'
import { createLeadership } from './leadership.ts'
import { createMeter, type Level, type Meter } from './meter.ts'
import { createRegistryView } from './registry-view.ts'
import { createStagesView } from './stages-view.ts'
import { createWatchdogMetrics } from './watchdog-metrics.ts'

/*
 * One watchdog measures and publishes at a time. What it keeps to:
 *
 * 1. Broker offsets are the truth for what waits; the registry tells only who is there.
 * 2. What it publishes carries the number of its leadership, and it publishes nothing while its
 *    membership of the group is not confirmed.
 * 3. A beat says that what was published holds. Who cannot measure does not beat.
 * 4. It needs Kafka and nothing else: what is known of the load does not depend on the database.
 */

const BUSY_MS = 500
const QUIET_MS = 2_000
const FAILED_MS = 1_000
/** A membership that was not confirmed for a while may be confirmed again without any other news. */
const STANDBY_MS = 1_000
/** Without a turn for so long something is stuck. */
const STUCK_MS = 60_000

export type WatchdogOptions = {
  readonly kafka: Kafka
  readonly prefix: string
  readonly instanceId: string
  /** How long a stage must have had more instances than it needs before one fewer is wanted. */
  readonly scaleDownAfterMs: number
  readonly log: Logger
  readonly metrics: Metrics
  readonly fail: (error: unknown) => void
}

export type Watchdog = { readonly checks: readonly ReadyCheck[]; stop(): Promise<void> }

type Term = {
  readonly leader: number
  readonly board: GateBoard
  readonly meter: Meter
  readonly keeper: GateKeeper
}

export async function startWatchdog(options: WatchdogOptions): Promise<Watchdog> {
  const { kafka, instanceId, log, fail } = options
  const topics = createTopics(options.prefix)
  const admin = createAdmin({ kafka })
  const producer = createProducer({ kafka })
  await producer.connect()
  const stages = createStagesView()
  let isStopped = false
  let measuredAtMs = performance.now()
  let turnedAtMs = performance.now()
  let term: Term | undefined

  const news = createBell()
  const hint = news.ring

  const control = createReader({
    kafka,
    topics: [topics.control],
    from: 'earliest',
    maxWaitMs: 5_000,
    onRecords(_topic, _partition, records) {
      if (stages.read(records)) hint()
    },
    onFatal: fail,
  })
  const registry = createRegistryView()
  let isRegistryNew = false
  const instances = createReader({
    kafka,
    topics: [topics.registry],
    from: 'earliest',
    maxWaitMs: 5_000,
    onRecords: (_topic, _partition, records) =>
      registry.read(records, isRegistryNew, performance.now()),
    onFatal: fail,
  })
  await Promise.all([control.caughtUp, instances.caughtUp])
  isRegistryNew = true
  const leadership = createLeadership({
    kafka,
    producer,
    topics,
    instanceId,
    log,
    onChanged: hint,
    onFatal: fail,
  })
  const metrics = createWatchdogMetrics(
    options.metrics,
    () => leadership.leader() !== undefined,
    () => performance.now() - measuredAtMs,
  )

  const begin = async (leader: number): Promise<Term> => {
    const board = await createGateBoard({
      ...{ kafka, producer, topics, leader },
      onChanged(gate) {
        metrics.changed(gate)
        const { stage, lane, state, reason, inFlightLimit } = gate
        log.info({ stage, lane, state, reason, inFlightLimit }, 'a gate has changed')
      },
      onFatal: fail,
    })
    const meter = createMeter({
      admin,
      topics,
      now: () => performance.now(),
      rateOf: (key) => board.rateOf(key),
    })
    const keeper = createGateKeeper(board.gates(), performance.now(), options.scaleDownAfterMs)
    return { leader, board, meter, keeper }
  }

  /** One stage whose topics cannot be asked must not hide all others. */
  const measure = async (meter: Meter, all: readonly StageRecord[]): Promise<readonly Level[]> => {
    try {
      return await meter.measure(all)
    } catch (error) {
      const isOfOne = error instanceof KafkaError && ONE_TOPIC.has(error.code)
      if (!isOfOne || all.length === 1) throw error
      const levels: Level[] = []
      for (const stage of all) {
        try {
          levels.push(...(await meter.measure([stage])))
        } catch (fault) {
          log.error({ err: fault, stage: stage.ref }, 'a stage cannot be measured')
          metrics.failed()
        }
      }
      return levels
    }
  }

  let measureDueMs = 0

  /** Answers for how long there is nothing to do. */
  const turn = async (): Promise<number> => {
    const leader = leadership.leader()
    if (leader === undefined) {
      term = undefined
      metrics.show([])
      return STANDBY_MS
    }
    if (term?.leader !== leader) {
      term = await begin(leader)
      measureDueMs = 0
    }
    const { board, meter, keeper } = term
    const startedAtMs = performance.now()
    if (startedAtMs >= measureDueMs) {
      const all = stages.all()
      const levels = await measure(meter, all)
      if (leadership.leader() !== leader) return 0
      const nowMs = performance.now()
      const crewOf = (stage: string) => registry.crewOf(stage, nowMs)
      await board.publish(all, levels, keeper.decide(all, levels, crewOf, nowMs))
      metrics.show(board.gates())
      measuredAtMs = performance.now()
      metrics.measured(measuredAtMs - startedAtMs)
      measureDueMs = startedAtMs + (meter.isQuiet ? QUIET_MS : BUSY_MS)
    }
    if (leadership.leader() === leader) await board.beat()
    return Math.max(0, Math.min(measureDueMs, board.beatDueMs) - performance.now())
  }

  const loop = async () => {
    while (!isStopped) {
      let waitMs = FAILED_MS
      try {
        waitMs = await turn()
      } catch (error) {
        if (isStopped) break
        metrics.failed()
        measureDueMs = 0
        log.warn({ err: error }, 'a turn of the watchdog failed')
      }
      turnedAtMs = performance.now()
      // Whatever has changed is published at once.
      if (await news.heard(waitMs)) measureDueMs = 0
    }
  }
  const running = loop()

  return {
    checks: [
      {
        name: 'watchdog',
        check: () => {
          if (!leadership.isMember()) return 'not a member of the group yet'
          const isLeading = leadership.leader() !== undefined
          if (isLeading && performance.now() - turnedAtMs > STUCK_MS) return 'no turn for a minute'
          return undefined
        },
      },
    ],
    async stop() {
      isStopped = true
      hint()
      await leadership.stop()
      await Promise.all([control.stop(), instances.stop()])
      await admin.disconnect()
      await running
      await producer.disconnect()
    },
  }
}

const ONE_TOPIC: ReadonlySet<string> = new Set(['unknown_topic', 'unauthorized', 'rejected'])
