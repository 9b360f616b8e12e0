import { defaults, LANES, type Lane, type TicketKey, type Topics } from '@weir/contracts'
import {
  type AssignedPartition,
  type Consumer,
  createConsumer,
  type Kafka,
  type KafkaError,
  type TopicPartition,
} from '@weir/kafka'
import { type Bell, createBell, type Logger } from '@weir/runtime'
import type { Stage } from '@weir/sdk'
import type { EngineClock } from './clock.ts'
import { createCommitLoop } from './commit-loop.ts'
import type { EngineCounters } from './counters.ts'
import { createPartitionRunner, type PartitionRunner } from './partition-runner.ts'
import type { PlanView } from './plan-view.ts'
import type { Sender } from './sender.ts'
import { settle } from './settle.ts'
import type { TaskRunner } from './task-runner.ts'

/**
 * A membership in the stage's group, from joining to leaving: partitions come and go, each with its
 * runner. An instance that is deactivated has none.
 */
export type Consumption = {
  partitions(): readonly PartitionRunner[]
  /** True once the group has given partitions (or none) and all of them are restored. */
  isRestored(): boolean
  fence(job: string, run: number): void
  /** New plans are there. */
  pump(): void
  /** Takes no more, lets what runs end for up to `graceMs`, commits, leaves the group. */
  stop(graceMs: number): Promise<void>
}

export type ConsumptionOptions = {
  readonly kafka: Kafka
  readonly topics: Topics
  readonly stage: Stage
  readonly lanes: readonly Lane[]
  readonly keys: readonly TicketKey[]
  readonly plans: PlanView
  readonly sender: Sender
  readonly tasks: TaskRunner
  readonly clock: EngineClock
  readonly log: Logger
  readonly counters: EngineCounters
  readonly isFenced: (job: string, run: number) => boolean
  readonly retryDelayMs: Parameters<typeof createPartitionRunner>[0]['retryDelayMs']
  readonly instalmentOf: Parameters<typeof createPartitionRunner>[0]['instalmentOf']
  readonly sessionTimeoutMs: number
  /** How long what runs on a partition may go on when that goes to another instance. */
  readonly graceMs: number
  /** Partitions were assigned, restored, lost or stopped. */
  readonly onPartitions: () => void
  readonly onFatal: (error: KafkaError) => void
}

const TICK_BUSY_MS = 50
const TICK_IDLE_MS = 1_000
const RESTORE_PAUSE_MS = 1_000
/** All open joins of an instance. */
const JOIN_BYTES_MAX = 256 * 1024 * 1024
/** Beyond the grace: for what tasks have sent at its end, and its commit. */
const FLUSH_MS = 3_000

export function createConsumption(options: ConsumptionOptions): Consumption {
  const { topics, stage, clock, log, sender, tasks, counters, sessionTimeoutMs } = options
  const runners = new Map<string, PartitionRunner>()
  /** One for each settling that is under way. */
  const settling = new Set<Bell>()
  const lanes = new Map<string, Lane>(
    options.lanes.map((lane) => [topics.input(stage.ref, lane), lane]),
  )
  let generation = 0
  let isAssigned = false
  let assigned = 0
  let isStopping = false
  let tick: NodeJS.Timeout | undefined
  let tickAtMs = 0

  const mayProduce = () => consumer.lastHeartbeatAgeMs() < sessionTimeoutMs

  const horizonMs = () => {
    const longest = Math.max(
      defaults.timeoutMs,
      stage.timeoutMs ?? 0,
      options.plans.longestTimeoutMs(stage.ref),
    )
    return 2 * sessionTimeoutMs + longest
  }

  const open = ({ topic, partition }: TopicPartition): PartitionRunner => {
    const runner: PartitionRunner = createPartitionRunner({
      topic,
      partition,
      lane: lanes.get(topic) ?? LANES[1],
      stage,
      keys: options.keys,
      plans: options.plans,
      sender,
      tasks,
      clock,
      log,
      counters,
      horizonMs: horizonMs(),
      isFenced: options.isFenced,
      retryDelayMs: options.retryDelayMs,
      instalmentOf: options.instalmentOf,
      joinBytesMax: Math.floor(JOIN_BYTES_MAX / Math.max(1, assigned)),
      mayProduce,
      seek: (offset) => consumer.seek(topic, partition, offset),
      flow(isOpen) {
        if (!isOpen) consumer.pause(topic, partition)
        else if (!isStopping) consumer.resume(topic, partition)
      },
      onChanged: changed,
      onRestored() {
        counters.restored += 1
        options.onPartitions()
        if ([...runners.values()].every((one) => one.isRestored)) {
          log.info({ generation, partitions: runners.size }, 'all partitions are restored')
        }
      },
      onBroken() {
        const next = open({ topic, partition })
        runners.set(keyOf({ topic, partition }), next)
        consumer.pause(topic, partition)
        void restore([next], RESTORE_PAUSE_MS)
      },
    })
    return runner
  }

  const changed = () => {
    commits.touch()
    wakeTick(TICK_BUSY_MS)
    for (const bell of settling) bell.ring()
  }

  const isCurrent = (runner: PartitionRunner, under: number) =>
    generation === under && !isStopping && runners.get(keyOf(runner)) === runner

  /** Owner records first, then what was committed: nothing that an older owner appends later counts. */
  const restore = async (some: readonly PartitionRunner[], waitMs = 0): Promise<void> => {
    const under = generation
    for (let pauseMs = waitMs; ; pauseMs = RESTORE_PAUSE_MS) {
      if (pauseMs > 0) await new Promise((resolve) => setTimeout(resolve, pauseMs))
      const current = some.filter((runner) => isCurrent(runner, under))
      if (current.length === 0) return
      try {
        await Promise.all(current.map((runner) => sender.own(runner, under)))
        const committed = await consumer.fetchCommitted(current)
        for (const { topic, partition, offset, metadata } of committed) {
          const runner = runners.get(keyOf({ topic, partition }))
          if (runner === undefined || !current.includes(runner)) continue
          if (!isCurrent(runner, under)) continue
          if (offset === null) runner.stop('the group has committed no offset')
          else runner.begin(under, offset, metadata)
        }
        options.onPartitions()
        return
      } catch (error) {
        log.warn({ err: error }, 'partitions could not be restored, trying again')
      }
    }
  }

  const onAssigned = (assignment: readonly AssignedPartition[], next: number) => {
    generation = next
    assigned = assignment.length
    const fresh: PartitionRunner[] = []
    for (const at of assignment) {
      const key = keyOf(at)
      const kept = runners.get(key)
      if (at.isKept && kept?.state === 'running') {
        void kept.keep(next)
        continue
      }
      if (at.isKept && kept?.state === 'stopped') continue
      kept?.release()
      const runner = open(at)
      runners.set(key, runner)
      fresh.push(runner)
    }
    isAssigned = true
    log.info({ generation, partitions: runners.size, restoring: fresh.length }, 'assigned')
    tasks.hold(isStopping)
    options.onPartitions()
    if (fresh.length > 0) void restore(fresh)
  }

  const consumer: Consumer = createConsumer({
    kafka: options.kafka,
    groupId: topics.stageGroup(stage.ref),
    topics: [...lanes.keys()],
    sessionTimeoutMs,
    onAssigned,
    onRevoked(lost) {
      for (const at of lost) {
        runners.get(keyOf(at))?.release()
        runners.delete(keyOf(at))
      }
    },
    handOverMs: options.graceMs + FLUSH_MS,
    async onHandOver(partitions) {
      const going = partitions.flatMap((at) => runners.get(keyOf(at)) ?? [])
      for (const runner of going) runner.windUp()
      // The generation under which this is committed is told in the same turn.
      await Promise.resolve()
      await settleAll(going, options.graceMs + FLUSH_MS)
    },
    async onRebalancing() {
      // What would start now may belong to another instance in a moment.
      tasks.hold(true)
      await commits.commit()
    },
    onRecords(topic, partition, records) {
      runners.get(keyOf({ topic, partition }))?.enqueue(records)
    },
    onOffsetOutOfRange(topic, partition) {
      runners.get(keyOf({ topic, partition }))?.stop('its position is not in the log')
      options.onPartitions()
    },
    onFatal: options.onFatal,
  })

  const commits = createCommitLoop({
    partitions: () => runners.values(),
    send: (offsets) => consumer.commit(offsets, generation),
    log,
    onCommitted() {
      counters.commits += 1
    },
  })

  const isBusy = () => {
    for (const one of runners.values()) {
      if (one.unfinished > 0 || one.openJoins > 0 || one.queued > 0) return true
    }
    return false
  }

  const wakeTick = (inMs: number) => {
    const atMs = clock.monotonicMs() + inMs
    if (tick !== undefined && tickAtMs <= atMs) return
    clearTimeout(tick)
    tickAtMs = atMs
    tick = setTimeout(() => {
      tick = undefined
      if (isStopping) return
      for (const runner of runners.values()) runner.tick()
      tasks.tellLong()
      wakeTick(isBusy() ? TICK_BUSY_MS : TICK_IDLE_MS)
    }, inMs)
  }
  wakeTick(TICK_IDLE_MS)
  tasks.hold(false)

  const settleAll = async (some: readonly PartitionRunner[], withinMs: number): Promise<void> => {
    const news = createBell()
    settling.add(news)
    const isSettled = await settle({
      partitions: some,
      news,
      commit: commits.commit,
      now: clock.monotonicMs,
      untilMs: clock.monotonicMs() + withinMs,
    })
    settling.delete(news)
    if (isSettled) return
    const unacknowledged = some.reduce((sum, one) => sum + one.unacknowledged, 0)
    const running = some.filter((one) => tasks.runsFor(one)).length
    log.warn(
      { unacknowledged, running },
      'not all that was done is committed: it will be done again',
    )
  }

  let stopped: Promise<void> | undefined
  const stop = async (graceMs: number) => {
    isStopping = true
    clearTimeout(tick)
    for (const runner of runners.values()) {
      consumer.pause(runner.topic, runner.partition)
      runner.windUp()
    }
    const untilMs = clock.monotonicMs() + graceMs
    await tasks.drain(graceMs)
    commits.stop()
    const leftMs = Math.max(0, untilMs - clock.monotonicMs())
    await settleAll([...runners.values()], leftMs + FLUSH_MS)
    for (const runner of runners.values()) runner.release()
    runners.clear()
    await consumer.stop()
  }

  return {
    partitions: () => [...runners.values()],
    isRestored: () => isAssigned && [...runners.values()].every((one) => one.isRestored),
    fence(job, run) {
      for (const runner of runners.values()) runner.fence(job, run)
    },
    pump() {
      for (const runner of runners.values()) runner.pump()
    },
    stop(graceMs) {
      stopped ??= stop(graceMs)
      return stopped
    },
  }
}

const keyOf = ({ topic, partition }: TopicPartition) => `${topic}/${partition}`
