import {
  type FenceRecord,
  type Lane,
  limits,
  type StageRecord,
  stageKey,
  type Topics,
} from '@weir/contracts'
import { createReader, type Kafka, type KafkaError, type KafkaRecord } from '@weir/kafka'
import type { Logger } from '@weir/runtime'

/**
 * What control wants, as read from `weir.control`: fences and stages' records.
 *
 * 1. The reader never pauses; each answered fetch, empty ones too, confirms as of its sending.
 * 2. A fence is in force from the moment it is read, before anyone is told.
 * 3. While the last confirmation is older than `limits.fenceFreshMs`, nothing may start.
 */
export type ControlView = {
  /** Resolves when everything that was on the topic at the start has been read. */
  readonly caughtUp: Promise<void>
  isFenced(job: string, run: number): boolean
  isFresh(): boolean
  stageOf(ref: string): StageRecord | undefined
  /** The lane in which messages to a stage travel: `normal` where it has no other. */
  laneTo(ref: string, wanted: Lane): Lane
  /** Next offset to read: fences below it are obeyed. */
  offset(): number
  stop(): Promise<void>
}

export type ControlViewOptions = {
  readonly kafka: Kafka
  readonly topics: Topics
  readonly log: Logger
  readonly onFence: (job: string, run: number) => void
  readonly onStage: (record: StageRecord) => void
  /** Called with each confirmation. */
  readonly onFresh: () => void
  readonly onFatal: (error: KafkaError) => void
}

/** Well below the limit: a confirmation is as old as its request when it arrives. */
const WAIT_MS = 1_000

export function createControlView(options: ControlViewOptions): ControlView {
  const { log } = options
  const topic = options.topics.control
  const fences = new Set<string>()
  const stages = new Map<string, StageRecord>()
  let hasWarned = false

  const readFence = (key: string, record: KafkaRecord) => {
    const run = key.slice('fence:'.length).replace(/:(\d+)$/, '/$1')
    if (record.value === null) {
      fences.delete(run)
      return
    }
    const fence = parse<FenceRecord>(record)
    if (fence === undefined) return
    fences.add(`${fence.job}/${fence.run}`)
    if (fences.size > limits.openFences && !hasWarned) {
      hasWarned = true
      log.error({ fences: fences.size }, 'there are more fences than the limit')
    }
    options.onFence(fence.job, fence.run)
  }

  const readStage = (ref: string, record: KafkaRecord) => {
    if (record.value === null) {
      stages.delete(ref)
      return
    }
    const stage = parse<StageRecord>(record)
    if (stage === undefined || stageKey(stage.ref) !== stageKey(ref)) return
    stages.set(ref, stage)
    options.onStage(stage)
  }

  /** A record that nobody can read must not stop the reader: it is said and passed over. */
  const parse = <Value extends { v: 1 }>(record: KafkaRecord): Value | undefined => {
    try {
      const value = JSON.parse(record.value?.toString() ?? 'null') as Value | null
      if (value?.v === 1) return value
    } catch {
      // Said below.
    }
    log.error({ topic, offset: record.offset }, 'a control record cannot be read')
    return undefined
  }

  const reader = createReader({
    kafka: options.kafka,
    topics: [topic],
    from: 'earliest',
    maxWaitMs: WAIT_MS,
    onRecords: (_topic, _partition, records) => {
      for (const record of records) {
        const key = record.key?.toString() ?? ''
        if (key.startsWith('fence:')) readFence(key, record)
        else if (key.startsWith('stage:')) readStage(key.slice('stage:'.length), record)
      }
    },
    onFetched: options.onFresh,
    onFatal: options.onFatal,
  })

  return {
    caughtUp: reader.caughtUp,
    isFenced: (job, run) => fences.size > 0 && fences.has(`${job}/${run}`),
    isFresh() {
      const freshAtMs = reader.freshAtMs()
      return freshAtMs !== undefined && performance.now() - freshAtMs < limits.fenceFreshMs
    },
    stageOf: (ref) => stages.get(ref),
    laneTo(ref, wanted) {
      if (wanted === 'normal') return 'normal'
      return stages.get(ref)?.lanes.includes(wanted) === true ? wanted : 'normal'
    },
    offset: () => reader.position(topic, 0) ?? 0,
    stop: () => reader.stop(),
  }
}
