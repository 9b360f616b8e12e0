import { backoffMs, closeCluster, pause, recoverCluster } from './cluster.ts'
import { type Kafka, logRetry } from './connect.ts'
import { isUnauthorized, KafkaError, type KafkaErrorCode, toKafkaError } from './errors.ts'
import { type Broker, createErrorFromCode, type WireRequest } from './internals.ts'
import { partitionFor } from './partitioner.ts'
import type { OutRecord } from './record.ts'
import { sizeOfRecord } from './wire/encode-batch.ts'
import {
  decodeProduce,
  encodeProduce,
  PRODUCE,
  type ProduceAnswer,
  type ProduceBatch,
} from './wire/produce.ts'

export type ProducerOptions = {
  readonly kafka: Kafka
  /** From `send` to the last acknowledgement; default 30 s. */
  readonly deadlineMs?: number
  /** Per request; default 2 MiB. A single larger record still goes, alone. */
  readonly requestMaxBytes?: number
  /** Waiting and under way together; over it `send` waits. Default 16 MiB. */
  readonly queuedMaxBytes?: number
}

export type Producer = {
  /** Resolves when a broker has answered; rejects only when the credential is refused or closed. */
  connect(): Promise<void>
  /**
   * Resolves with the offset of each record, in their order, when all are acknowledged by all
   * in-sync replicas. Records of one partition keep the order of the calls. Rejects with a
   * `KafkaError` when one of them failed, after all of them are settled; then others of the same
   * call may be in the log, and after `deadline` the failed one may be too. A retry after a lost
   * answer can put a record into the log twice.
   */
  send(records: readonly OutRecord[]): Promise<number[]>
  /**
   * As `send`, for callers with many: a promise for each record would cost more than its encoding.
   * `done` is called once, never before `post` has returned.
   */
  post(records: readonly OutRecord[], done: Posted): void
  /** Resolves when everything that was sent before is settled. */
  flush(): Promise<void>
  /** Flushes for at most `flushMs` (default 5 s), refuses the rest with `closed`, disconnects. */
  disconnect(flushMs?: number): Promise<void>
  /** Bytes waiting and under way. */
  queuedBytes(): number
}

/** Told of what was posted: its offsets, or why it is not known to be in the log. */
export type Posted = (error: KafkaError | undefined, offsets: number[]) => void

type Send = {
  readonly offsets: number[]
  readonly done: Posted
  readonly deadlineAtMs: number
  unsettled: number
  error: KafkaError | undefined
  isTold: boolean
}

type Entry = {
  readonly record: OutRecord
  readonly send: Send
  readonly index: number
  readonly bytes: number
  isSettled: boolean
}

/** What waits for one partition. One batch of it is under way at a time: that keeps the order. */
type Lane = {
  readonly topic: string
  readonly partition: number
  entries: Entry[]
  isUnderWay: boolean
  attempts: number
  retryAtMs: number
  /** Halved when the broker refuses a batch for one of its records, doubled when it takes one. */
  recordsMax: number
  lastError: KafkaError | undefined
}

const BATCH_RECORDS_MAX = 10_000
/** Below the broker's default for a batch, so that full batches are not refused as a rule. */
const BATCH_MAX_BYTES = 1_000_000
const UNKNOWN_TOPIC_MS = 10_000
const SWEEP_MS = 250
const ACK_TIMEOUT_MS = 10_000
const TOO_LARGE_TYPES = new Set(['MESSAGE_TOO_LARGE', 'RECORD_LIST_TOO_LARGE'])
/** Refusals for the sake of one record: the batch is bisected until that one is alone. */
const CULPRIT_TYPES = new Set([...TOO_LARGE_TYPES, 'INVALID_RECORD', 'INVALID_TIMESTAMP'])

/**
 * A producer that batches by itself: a request goes out at once when none is under way to that
 * broker, and what comes meanwhile is collected for the next. So an idle stage has the latency of a
 * single send, and a busy one the cost of large batches.
 */
export function createProducer(options: ProducerOptions): Producer {
  const { kafka } = options
  const deadlineMs = options.deadlineMs ?? 30_000
  const requestMaxBytes = options.requestMaxBytes ?? 2 * 1024 * 1024
  const queuedMaxBytes = options.queuedMaxBytes ?? 16 * 1024 * 1024

  const cluster = kafka.createCluster()
  const stopping = new AbortController()
  const lanes = new Map<string, Map<number, Lane>>()
  /** Lanes with something to send, in the order in which they got it. */
  const ready = new Set<Lane>()
  /** Entries of topics whose partitions are not known yet. */
  const unplaced = new Map<string, Entry[]>()
  const busy = new Set<number>()
  const sends = new Set<Send>()
  const room: (() => void)[] = []
  let queuedBytes = 0
  let idle: (() => void)[] = []
  let sweep: NodeJS.Timeout | undefined
  let isPumping = false
  let recovery: Promise<void> | undefined

  const settle = (entry: Entry, offset: number, error?: KafkaError): void => {
    if (entry.isSettled) return
    entry.isSettled = true
    queuedBytes -= entry.bytes
    const { send } = entry
    send.offsets[entry.index] = offset
    send.error ??= error
    send.unsettled -= 1
    if (send.unsettled > 0) return
    sends.delete(send)
    tell(send)
    admit()
    if (sends.size > 0) return
    clearInterval(sweep)
    sweep = undefined
    for (const done of idle) done()
    idle = []
  }

  const tell = (send: Send): void => {
    if (send.isTold) return
    send.isTold = true
    send.done(send.error, send.offsets)
  }

  /** Those who wait for room, in the order of their calls; each counts its bytes at once. */
  const admit = (): void => {
    while (queuedBytes < queuedMaxBytes) {
      const next = room.shift()
      if (next === undefined) return
      next()
    }
  }

  /** Of this turn: the client looks through all topics for each answer. */
  const counts = new Map<string, number>()

  const partitionCount = (topic: string): number => {
    const known = counts.get(topic)
    if (known !== undefined) return known
    let count = 0
    try {
      count = cluster.findTopicPartitionMetadata(topic).length
    } catch {
      // Nothing is known of the cluster yet.
    }
    if (count > 0) counts.set(topic, count)
    return count
  }

  const laneOf = (topic: string, partition: number): Lane => {
    let byPartition = lanes.get(topic)
    if (byPartition === undefined) {
      byPartition = new Map()
      lanes.set(topic, byPartition)
    }
    let lane = byPartition.get(partition)
    if (lane === undefined) {
      lane = {
        topic,
        partition,
        entries: [],
        isUnderWay: false,
        attempts: 0,
        retryAtMs: 0,
        recordsMax: BATCH_RECORDS_MAX,
        lastError: undefined,
      }
      byPartition.set(partition, lane)
    }
    return lane
  }

  const place = (entry: Entry, partitions: number): void => {
    const { topic, key, partition } = entry.record
    const chosen =
      partition ??
      (key === null ? Math.floor(Math.random() * partitions) : partitionFor(key, partitions))
    if (chosen < 0 || chosen >= partitions) {
      const error = new KafkaError('rejected', `${topic} has no partition ${chosen}`)
      queueMicrotask(() => settle(entry, -1, error))
      return
    }
    const lane = laneOf(topic, chosen)
    lane.entries.push(entry)
    if (!lane.isUnderWay) ready.add(lane)
  }

  const enqueue = (entry: Entry): void => {
    const { topic } = entry.record
    const waiting = unplaced.get(topic)
    if (waiting !== undefined) {
      waiting.push(entry)
      return
    }
    const partitions = partitionCount(topic)
    if (partitions > 0) {
      place(entry, partitions)
      return
    }
    unplaced.set(topic, [entry])
    void learnTopic(topic)
  }

  /** Only this brings a topic's entries from `unplaced` into lanes, so their order is kept. */
  const learnTopic = async (topic: string): Promise<void> => {
    const giveUpAtMs = performance.now() + UNKNOWN_TOPIC_MS
    for (let attempt = 0; !stopping.signal.aborted; attempt++) {
      let fault: unknown
      try {
        await cluster.connect()
        await cluster.addMultipleTargetTopics([topic])
      } catch (error) {
        fault = error
      }
      const partitions = partitionCount(topic)
      const waiting = unplaced.get(topic) ?? []
      if (partitions > 0) {
        unplaced.delete(topic)
        for (const entry of waiting) if (!entry.isSettled) place(entry, partitions)
        pumpSoon()
        return
      }
      const error = toKafkaError(
        fault ?? createErrorFromCode(3),
        `send to ${topic}: partitions are not known`,
      )
      const isHopeless =
        error.code === 'unauthorized' ||
        (error.code === 'unknown_topic' && performance.now() > giveUpAtMs)
      if (isHopeless || waiting.every(({ isSettled }) => isSettled)) {
        unplaced.delete(topic)
        for (const entry of waiting) settle(entry, -1, error)
        return
      }
      await pause(backoffMs(attempt), stopping.signal)
      if (error.code !== 'unknown_topic') await recoverCluster(cluster, fault).catch(() => {})
    }
  }

  const leaderOf = ({ topic, partition }: Lane): number | undefined => {
    try {
      const found = cluster
        .findTopicPartitionMetadata(topic)
        .find(({ partitionId }) => partitionId === partition)
      return found === undefined || found.leader < 0 ? undefined : found.leader
    } catch {
      return undefined
    }
  }

  /**
   * The turn's other sends are waited for, and those that follow from them: what belongs together
   * goes in one request.
   */
  const pumpSoon = (): void => {
    if (isPumping) return
    isPumping = true
    setImmediate(() => {
      isPumping = false
      pump()
    })
  }

  const pump = (): void => {
    counts.clear()
    if (stopping.signal.aborted || ready.size === 0) return
    const now = performance.now()
    const rounds = new Map<number, { lane: Lane; taken: Entry[]; bytes: number }[]>()
    const roundBytes = new Map<number, number>()
    for (const lane of ready) {
      if (lane.retryAtMs > now) continue
      const leader = leaderOf(lane)
      if (leader === undefined) {
        if (partitionCount(lane.topic) === 0) {
          lane.lastError = new KafkaError('unknown_topic', `topic ${lane.topic} is gone`)
        }
        retryLater([lane], new Error(`no leader is known for ${lane.topic}/${lane.partition}`))
        continue
      }
      if (busy.has(leader)) continue
      const bytesBefore = roundBytes.get(leader) ?? 0
      const { taken, bytes } = take(lane, requestMaxBytes - bytesBefore, bytesBefore === 0)
      if (lane.entries.length === 0) ready.delete(lane)
      if (taken.length === 0) continue
      ready.delete(lane)
      lane.isUnderWay = true
      roundBytes.set(leader, bytesBefore + bytes)
      const round = rounds.get(leader)
      if (round === undefined) rounds.set(leader, [{ lane, taken, bytes }])
      else round.push({ lane, taken, bytes })
    }
    for (const [leader, round] of rounds) void sendRound(leader, round)
  }

  const sendRound = async (
    leader: number,
    round: { lane: Lane; taken: Entry[]; bytes: number }[],
  ): Promise<void> => {
    busy.add(leader)
    let answers: ProduceAnswer[] = []
    let fault: unknown
    try {
      await cluster.refreshMetadataIfNecessary()
      const broker = await cluster.findBroker({ nodeId: leader })
      answers = await produce(
        broker,
        round.map(({ lane, taken, bytes }) => ({
          topic: lane.topic,
          partition: lane.partition,
          records: taken.map(({ record }) => record),
          bytes,
        })),
      )
    } catch (error) {
      fault = error
    }
    busy.delete(leader)
    const failed: Lane[] = []
    for (const { lane, taken } of round) {
      lane.isUnderWay = false
      const answer = answers.find(
        ({ topic, partition }) => topic === lane.topic && partition === lane.partition,
      )
      if (answer?.errorCode === 0) {
        lane.attempts = 0
        lane.lastError = undefined
        lane.recordsMax = Math.min(BATCH_RECORDS_MAX, lane.recordsMax * 2)
        for (const [index, entry] of taken.entries()) settle(entry, answer.baseOffset + index)
        if (lane.entries.length > 0) ready.add(lane)
        continue
      }
      const error = answer === undefined ? fault : createErrorFromCode(answer.errorCode)
      if (refuse(lane, taken, error)) {
        if (lane.entries.length > 0) ready.add(lane)
        continue
      }
      fault ??= error
      failed.push(lane)
    }
    if (failed.length > 0) retryLater(failed, fault)
    pump()
  }

  /** Deals with what no repetition heals; false when it may be repeated. */
  const refuse = (lane: Lane, taken: Entry[], error: unknown): boolean => {
    const { type, retriable } = error as { type?: string; retriable?: boolean }
    const doing = `send to ${lane.topic}/${lane.partition}`
    if (type !== undefined && CULPRIT_TYPES.has(type)) {
      const [culprit] = taken
      if (taken.length === 1 && culprit !== undefined) {
        const code: KafkaErrorCode = TOO_LARGE_TYPES.has(type) ? 'too_large' : 'rejected'
        settle(culprit, -1, new KafkaError(code, `${doing}: ${(error as Error).message}`, error))
      } else {
        lane.recordsMax = Math.ceil(taken.length / 2)
        putBack(lane, taken)
      }
      return true
    }
    if (isUnauthorized(error) || (type !== undefined && retriable === false)) {
      for (const entry of taken) settle(entry, -1, toKafkaError(error, doing))
      return true
    }
    putBack(lane, taken)
    lane.lastError = toKafkaError(error, doing)
    return false
  }

  const neededTopics = (): string[] =>
    [...lanes].flatMap(([topic, byPartition]) =>
      [...byPartition.values()].some(({ entries, isUnderWay }) => entries.length > 0 || isUnderWay)
        ? [topic]
        : [],
    )

  /** The lanes wait out a backoff, others go on; metadata are fetched anew meanwhile. */
  const retryLater = (failed: readonly Lane[], error: unknown): void => {
    const now = performance.now()
    for (const lane of failed) {
      lane.retryAtMs = now + (lane.attempts === 0 ? 20 : backoffMs(lane.attempts))
      lane.attempts += 1
      if (lane.entries.length > 0) ready.add(lane)
    }
    const attempt = Math.max(...failed.map(({ attempts }) => attempts - 1))
    logRetry(kafka, error, attempt, 'sending')
    recovery ??= recoverCluster(cluster, error, neededTopics())
      .catch(() => {})
      .finally(() => {
        recovery = undefined
      })
    // A timer may fire up to a millisecond early, and the lane would then not be looked at again.
    const nextMs = Math.max(...failed.map(({ retryAtMs }) => retryAtMs)) - now + 2
    void Promise.all([recovery, pause(nextMs, stopping.signal)]).then(pump)
  }

  /** Rejects what is over its deadline, under way or not; what waits is not sent any more. */
  const expire = (): void => {
    const now = performance.now()
    for (const byPartition of lanes.values()) {
      for (const lane of byPartition.values()) {
        if (lane.entries.every(({ send }) => send.deadlineAtMs > now)) continue
        lane.entries = lane.entries.filter((entry) => {
          if (entry.send.deadlineAtMs > now) return true
          settle(entry, -1, expired(lane))
          return false
        })
        if (lane.entries.length === 0) ready.delete(lane)
      }
    }
    for (const waiting of unplaced.values()) {
      for (const entry of waiting) {
        if (entry.send.deadlineAtMs <= now) settle(entry, -1, expired())
      }
    }
    for (const send of sends) {
      if (send.deadlineAtMs > now || send.unsettled === 0) continue
      send.error ??= expired()
      tell(send)
    }
    // Whatever was missed when a backoff ended goes out now.
    pump()
  }

  const expired = (lane?: Lane): KafkaError =>
    lane?.lastError?.code === 'unknown_topic'
      ? lane.lastError
      : new KafkaError('deadline', `not acknowledged within ${deadlineMs} ms`, lane?.lastError)

  const closed = () => new KafkaError('closed', 'the producer is closed')

  const flush = (): Promise<void> => {
    if (sends.size === 0) return Promise.resolve()
    return new Promise((resolve) => idle.push(resolve))
  }

  const post = (records: readonly OutRecord[], done: Posted): void => {
    if (records.length === 0 || stopping.signal.aborted) {
      const error = stopping.signal.aborted ? closed() : undefined
      queueMicrotask(() => done(error, []))
      return
    }
    const deadlineAtMs = performance.now() + deadlineMs
    // Whoever waits for room is before us, even when there is room again.
    if (queuedBytes < queuedMaxBytes && room.length === 0) add(records, deadlineAtMs, done)
    else {
      room.push(() => {
        if (stopping.signal.aborted) done(closed(), [])
        else add(records, deadlineAtMs, done)
      })
    }
  }

  const add = (records: readonly OutRecord[], deadlineAtMs: number, done: Posted): void => {
    const send: Send = {
      offsets: new Array<number>(records.length),
      done,
      deadlineAtMs,
      unsettled: records.length,
      error: undefined,
      isTold: false,
    }
    sends.add(send)
    sweep ??= setInterval(expire, SWEEP_MS)
    // Counted before anything is settled: a record that fails at once must not end the others' send.
    const sizes = records.map(sizeOfRecord)
    for (const bytes of sizes) queuedBytes += bytes
    for (let index = 0; index < records.length; index++) {
      const record = records[index] as OutRecord
      enqueue({ record, send, index, bytes: sizes[index] as number, isSettled: false })
    }
    pumpSoon()
  }

  return {
    queuedBytes: () => queuedBytes,
    flush,

    async connect() {
      for (let attempt = 0; !stopping.signal.aborted; attempt++) {
        try {
          await cluster.connect()
          return
        } catch (error) {
          if (isUnauthorized(error)) throw toKafkaError(error, 'connect to Kafka')
          await pause(backoffMs(attempt), stopping.signal)
        }
      }
      throw closed()
    },

    send: (records) =>
      new Promise<number[]>((resolve, reject) => {
        post(records, (error, offsets) => {
          if (error === undefined) resolve(offsets)
          else reject(error)
        })
      }),

    post,

    async disconnect(flushMs = 5000) {
      const cap = new AbortController()
      await Promise.race([flush(), pause(flushMs, cap.signal)])
      cap.abort()
      stopping.abort()
      for (const send of sends) {
        send.error ??= closed()
        tell(send)
      }
      sends.clear()
      clearInterval(sweep)
      for (const refuse of room.splice(0)) refuse()
      for (const resolve of idle.splice(0)) resolve()
      await closeCluster(cluster)
    },
  }
}

/** The oldest entries that fit; at least one when `isFirst`, whatever its size. */
function take(lane: Lane, roomBytes: number, isFirst: boolean): { taken: Entry[]; bytes: number } {
  const limitBytes = Math.min(roomBytes, BATCH_MAX_BYTES)
  let bytes = 0
  let count = 0
  for (const entry of lane.entries) {
    if (count >= lane.recordsMax) break
    const isAlone = count === 0 && isFirst
    if (bytes + entry.bytes > limitBytes && !isAlone) break
    bytes += entry.bytes
    count += 1
  }
  const taken = lane.entries.slice(0, count)
  lane.entries = count === lane.entries.length ? [] : lane.entries.slice(count)
  return { taken, bytes }
}

function putBack(lane: Lane, taken: readonly Entry[]): void {
  lane.entries = [...taken.filter(({ isSettled }) => !isSettled), ...lane.entries]
}

async function produce(broker: Broker, batches: ProduceBatch[]): Promise<ProduceAnswer[]> {
  const request: WireRequest<{ clientSideThrottleTime: number; answers: ProduceAnswer[] }> = {
    request: {
      ...PRODUCE,
      encode: () => encodeProduce(batches, ACK_TIMEOUT_MS, Date.now()),
    },
    response: { decode: decodeProduce, parse: (decoded) => decoded },
  }
  return (await broker.connectionPool.send(request)).answers
}
