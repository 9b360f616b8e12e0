import {
  createTopics,
  defaults,
  type InstanceRecord,
  LANES,
  newUuid,
  type StageRecord,
  type StageState,
  type TicketKey,
} from '@weir/contracts'
import { nextDelayMs } from '@weir/core'
import { createAdmin, createProducer, type Kafka } from '@weir/kafka'
import { type Logger, type Metrics, withDeadline } from '@weir/runtime'
import type { Stage } from '@weir/sdk'
import { createClock } from './clock.ts'
import { type Consumption, createConsumption } from './consumption.ts'
import { createControlView } from './control-view.ts'
import { createCounters, type EngineCounters } from './counters.ts'
import { createEngineMetrics, type EngineMetrics } from './engine-metrics.ts'
import { createEventSink, type SinkPolicy } from './event-sink.ts'
import { createPlanView } from './plan-view.ts'
import { createRegistry } from './registry.ts'
import { createReportWriter } from './report-writer.ts'
import { createSender } from './sender.ts'
import { createFigures } from './stage-figures.ts'
import { createTaskRunner } from './task-runner.ts'
import type { TaskEvent } from './task-teller.ts'

export type StageOptions = {
  readonly kafka: Kafka
  /** The stage's keys; the first one proves its own messages, all of them verify. */
  readonly keys: readonly TicketKey[]
  /** Topic prefix of the installation; default `weir`. */
  readonly prefix?: string
  readonly log: Logger
  readonly metrics?: Metrics
  /** Tasks at once; default the stage's own. */
  readonly concurrency?: number
  /** How long running tasks may go on when the instance stops or is deactivated. */
  readonly graceMs?: number
  /** After so long without a confirmed heartbeat the instance produces nothing. */
  readonly sessionTimeoutMs?: number
  /** What becomes of the events of handlers when there are more than are taken. */
  readonly events?: {
    readonly policy?: SinkPolicy
    readonly queueMax?: number
    readonly perSecond?: number
  }
  /** The instance cannot go on; it has to be started anew. */
  readonly onFatal?: (error: Error) => void
}

export type StageInstance = {
  readonly instanceId: string
  /** Resolves when contracts are accepted and, where the stage is active, partitions restored. */
  readonly ready: Promise<void>
  readonly counters: Readonly<EngineCounters>
  state(): StageState
  /** Undefined, or why it is not ready. */
  notReady(): string | undefined
  /** Drains, commits, leaves the group; calling it again waits for the first call. */
  stop(): Promise<void>
}

const INIT_MS = 60_000
/** Messages of a fan-out under way to a stage at once, where its operator allows as many. */
const INSTALMENT_MAX = 500
const HOOK_MS = 5_000
/** Of what handlers say: so many wait, and so many a second are passed on. */
export const EVENTS_QUEUE = 1_000
export const EVENTS_PER_SECOND = 1_000
const METRICS_MS = 1_000

/** Starts an instance of a stage. Throws where a key is not the stage's. */
export function startStage(stage: Stage, options: StageOptions): StageInstance {
  const [key] = options.keys
  const wrong = options.keys.find(({ holder }) => holder !== stage.ref)
  if (key === undefined || wrong !== undefined) {
    throw new Error(`the stage key is for ${wrong?.holder ?? 'nobody'}, not for ${stage.ref}`)
  }
  const { kafka, log, graceMs = defaults.stopGraceMs } = options
  const topics = createTopics(options.prefix)
  const sessionTimeoutMs = options.sessionTimeoutMs ?? defaults.sessionTimeoutMs
  const instanceId = newUuid()
  const startedAt = Date.now()
  const clock = createClock()
  const counters = createCounters()
  const figures = createFigures()
  const stopping = new AbortController()
  const ready = Promise.withResolvers<void>()
  ready.promise.catch(() => {})
  const contractKey = `${stage.version}/${stage.contracts.hash}`
  let state: StageState = 'created'
  let desired: StageRecord | undefined
  let consumption: Consumption | undefined
  let isPrepared = false
  let isAccepted = false
  let isPaused = false
  let isReconciling = false
  let hasNews = false
  let metrics: EngineMetrics | undefined
  let metricsTimer: NodeJS.Timeout | undefined

  const fatal = (error: Error) => {
    if (stopping.signal.aborted) return
    log.fatal({ err: error }, 'the instance cannot go on')
    ready.reject(error)
    options.onFatal?.(error)
  }

  const producer = createProducer({ kafka })
  const control = createControlView({
    kafka,
    topics,
    log,
    onFence(job, run) {
      consumption?.fence(job, run)
      registry.touch()
    },
    onStage(record) {
      if (record.ref !== stage.ref) return
      desired = record
      void reconcile()
    },
    onFresh: () => tasks.pump(),
    onFatal: fatal,
  })
  const plans = createPlanView({
    kafka,
    topics,
    log,
    onPlans: () => consumption?.pump(),
    onFatal: fatal,
  })

  const describe = (): InstanceRecord => ({
    v: 1,
    instance: instanceId,
    stage: stage.ref,
    version: stage.version,
    kind: stage.kind,
    state,
    startedAt,
    at: Date.now(),
    controlOffset: control.offset(),
    partitions: (consumption?.partitions() ?? []).map(({ topic, partition }) => [topic, partition]),
    concurrency: options.concurrency ?? stage.concurrency,
    // Until control has seen them: a compacted topic keeps only the last record.
    ...(isAccepted ? {} : { contracts: stage.contracts }),
    cleaning: tasks.cleaning(),
    counters: {
      processed: counters.processed,
      failed: counters.failed,
      retried: counters.retried,
      dropped: counters.dropped,
      duplicatesSuppressed: counters.duplicatesSuppressed,
      late: counters.late,
      skipped: counters.skipped,
      cancelled: counters.cancelled,
    },
    figures: figures.toRecord(),
  })
  const events = createEventSink<TaskEvent>({
    ...{ policy: 'block', queueMax: EVENTS_QUEUE, perSecond: EVENTS_PER_SECOND },
    ...options.events,
    nowMs: () => clock.monotonicMs(),
    after(ms, call) {
      const timer = setTimeout(call, ms)
      return () => clearTimeout(timer)
    },
  })
  const registry = createRegistry({ producer, topics, instance: instanceId, log, describe })

  const tasks = createTaskRunner({
    stage,
    group: topics.stageGroup(stage.ref),
    concurrency: options.concurrency ?? stage.concurrency,
    clock,
    log,
    counters,
    isFresh: () => control.isFresh(),
    retryDelayMs: ({ step, attempt }) => nextDelayMs(step.retry, attempt, Math.random()),
    onMeasured(waitMs, workMs) {
      figures.observe(waitMs, workMs)
      metrics?.observe(waitMs, workMs)
    },
    onFailed: (code) => figures.failed(code),
    onLong(task, at, waitMs, traceparent) {
      const { envelope, step, attempt } = task
      const report = { item: envelope.meta.item, status: 'started', attempt, at, waitMs } as const
      // Only a hint: that it ended is what must not be lost.
      reports?.add({ envelope, step, report }, traceparent, () => {})
    },
    onProgress({ envelope, step, attempt }, progress, traceparent) {
      const { item } = envelope.meta
      const report = { item, status: 'progress', attempt, at: Date.now(), progress } as const
      reports?.add({ envelope, step, report }, traceparent, () => {})
    },
    events,
    onTold({ envelope, step, attempt }, telling, content, traceparent, done) {
      if (reports === undefined) return
      const report = { item: envelope.meta.item, attempt, at: Date.now(), ...telling }
      reports.add({ envelope, step, report }, traceparent, done, content)
    },
    onCleaning: () => registry.touch(),
    onTooManyDetached: () => fatal(new Error('too many handlers did not return when aborted')),
  })

  const enter = (next: StageState) => {
    if (state === next) return
    log.info({ from: state, to: next }, 'the state has changed')
    state = next
    registry.touch()
  }

  const startConsumption = (sender: ReturnType<typeof createSender>, record: StageRecord) =>
    createConsumption({
      kafka,
      topics,
      stage,
      lanes: LANES.filter((lane) => record.lanes.includes(lane)),
      keys: options.keys,
      plans,
      sender,
      tasks,
      clock,
      log,
      counters,
      isFenced: (job, run) => control.isFenced(job, run),
      retryDelayMs: (policy, attempt) => nextDelayMs(policy, attempt, Math.random()),
      instalmentOf: (ref) =>
        Math.min(INSTALMENT_MAX, control.stageOf(ref)?.inFlightMax ?? INSTALMENT_MAX),
      sessionTimeoutMs,
      graceMs,
      onPartitions() {
        if (consumption?.isRestored() === true) ready.resolve()
        registry.touch()
      },
      onFatal: fatal,
    })

  const hook = async (name: 'pause' | 'resume' | 'shutdown') => {
    try {
      await withDeadline(Promise.resolve(stage.hooks[name]?.()), HOOK_MS, `the hook ${name}`)
    } catch (error) {
      log.error({ err: error, hook: name }, 'a hook of the stage failed')
    }
  }

  let sender: ReturnType<typeof createSender> | undefined
  let reports: ReturnType<typeof createReportWriter> | undefined

  /** One step towards what control wants; false where nothing is left to do. */
  const approach = async (): Promise<boolean> => {
    const record = desired
    if (!isPrepared || sender === undefined || record === undefined) return false
    if (stopping.signal.aborted) return false
    const verdict = record.accepted[contractKey]
    if (!isAccepted) {
      if (typeof verdict === 'string') {
        const refused = `${stage.ref} ${stage.version}: its contracts were refused: ${verdict}`
        fatal(new Error(`${refused}; what breaks callers is a new major version`))
        return false
      }
      if (verdict !== true) return false
      isAccepted = true
      enter('launched')
    }
    if (!record.keyIds.some((id) => options.keys.some((one) => one.id === id))) {
      log.warn({ keyIds: record.keyIds }, 'none of the keys of this instance is valid any more')
    }
    if (record.state === 'active') {
      if (consumption !== undefined) return false
      if (isPaused) await hook('resume')
      isPaused = false
      consumption = startConsumption(sender, record)
      enter('active')
      return true
    }
    if (consumption !== undefined) {
      const ended = consumption
      await ended.stop(graceMs)
      consumption = undefined
      await hook('pause')
      isPaused = true
      return true
    }
    ready.resolve()
    // Quiet: only now is it acknowledged.
    if (record.state === 'terminating' || record.state === 'terminated') enter('terminated')
    else if (record.state === 'deactivated') enter('deactivated')
    return false
  }

  const reconcile = async () => {
    hasNews = true
    if (isReconciling) return
    isReconciling = true
    try {
      // A record that came while the last step was being looked at is looked at too.
      while (hasNews) {
        hasNews = false
        while (await approach());
      }
    } catch (error) {
      fatal(error as Error)
    }
    isReconciling = false
  }

  const prepare = async () => {
    await producer.connect()
    registry.start()
    const admin = createAdmin({ kafka })
    try {
      const counts = await admin.partitionCounts([topics.events])
      const partitions = counts.get(topics.events)
      if (partitions === undefined) throw new Error(`the topic ${topics.events} does not exist`)
      reports = createReportWriter({
        producer,
        topics,
        stage: stage.ref,
        instance: instanceId,
        partitions,
      })
      sender = createSender({
        producer,
        reports,
        topics,
        key,
        instance: instanceId,
        laneTo: control.laneTo,
        now: () => clock.now(),
      })
    } finally {
      await admin.disconnect()
    }
    const init = Promise.resolve(stage.hooks.init?.({ log, signal: stopping.signal }))
    await withDeadline(init, INIT_MS, 'the hook init')
    await Promise.all([control.caughtUp, plans.caughtUp])
    isPrepared = true
    await reconcile()
  }

  if (options.metrics !== undefined) {
    const sum = (of: (one: ReturnType<Consumption['partitions']>[number]) => number) => () =>
      (consumption?.partitions() ?? []).reduce((total, one) => total + of(one), 0)
    const engineMetrics = createEngineMetrics(options.metrics, counters, figures, {
      running: () => tasks.running,
      waiting: () => tasks.waiting,
      queued: sum((one) => one.queued),
      unfinished: sum((one) => one.unfinished),
      openJoins: sum((one) => one.openJoins),
      producerBytes: () => producer.queuedBytes(),
      events: () => events.figures(),
    })
    metrics = engineMetrics
    metricsTimer = setInterval(() => engineMetrics.flush(), METRICS_MS)
  }

  prepare().catch((error: unknown) => fatal(error as Error))

  const stop = async () => {
    stopping.abort()
    ready.reject(new Error('the instance was stopped'))
    enter('terminating')
    await consumption?.stop(graceMs)
    await hook('shutdown')
    clearInterval(metricsTimer)
    metrics?.flush()
    enter('terminated')
    events.stop()
    registry.stop()
    await registry.leave().catch((error: unknown) => {
      log.warn({ err: error }, 'the registry could not be told')
    })
    await Promise.all([control.stop(), plans.stop(), producer.disconnect()])
  }
  let stopped: Promise<void> | undefined

  return {
    instanceId,
    ready: ready.promise,
    counters,
    state: () => state,
    notReady() {
      if (!isPrepared) return 'plans and fences are not read to their end'
      if (desired === undefined) return 'the stage is not registered'
      if (!isAccepted) return 'the contracts are not accepted yet'
      if (desired.state === 'active' && state !== 'active') return 'the stage is being activated'
      if (!control.isFresh()) return 'the fences are not up to date'
      const stoppedOne = consumption?.partitions().find((one) => one.state === 'stopped')
      if (stoppedOne !== undefined) return `partition ${stoppedOne.partition} is stopped`
      if (state === 'active' && consumption?.isRestored() !== true) {
        return 'partitions are not restored'
      }
      return undefined
    },
    stop() {
      stopped ??= stop()
      return stopped
    },
  }
}
