import { backoffMs, closeCluster, pause, recoverCluster } from './cluster.ts'
import { type Kafka, logRetry } from './connect.ts'
import { isUnauthorized, KafkaError, toKafkaError } from './errors.ts'
import { Fetcher } from './fetcher.ts'
import type { Cluster } from './internals.ts'
import { EARLIEST, LATEST, listOffsets } from './offsets.ts'
import type { KafkaRecord } from './record.ts'
import type { FetchedPartition } from './wire/decode-fetch.ts'

export type ReaderOptions = {
  readonly kafka: Kafka
  /** Read by one loop; a topic that does not exist yet is waited for. */
  readonly topics: readonly string[]
  /** Of every topic; all of them when absent. */
  readonly partitions?: readonly number[]
  /** Where to begin; offsets by `topic/partition`, absent ones from the earliest. */
  readonly from: 'earliest' | 'latest' | Readonly<Record<string, number>>
  /** Synchronous, in offset order. What it throws ends the reader (`onFatal`). */
  readonly onRecords: (
    topic: string,
    partition: number,
    records: readonly KafkaRecord[],
    highWatermark: number,
  ) => void
  /** Once: every partition has been read up to an end that was current at or after the start. */
  readonly onCaughtUp?: () => void
  /**
   * Everything that was in the topics when a request was sent has been handed over. `sentAtMs` is
   * that moment by `performance.now()`; it is reported for answers without records too.
   */
  readonly onFetched?: (sentAtMs: number) => void
  /** The log no longer has (or never had) the position: reading begins again at the earliest. */
  readonly onRestart?: (topic: string, partition: number) => void
  /** The credential was refused or a callback threw; nothing more is read. */
  readonly onFatal?: (error: KafkaError) => void
  /** How long a request without data is held back; default 2 s. Data comes at once anyway. */
  readonly maxWaitMs?: number
  readonly maxBytes?: number
}

const STARTING_WAIT_MS = 20

export type Reader = {
  /** Resolves when caught up; rejects when the reader is stopped or fails before. */
  readonly caughtUp: Promise<void>
  /** The offset that will be read next. */
  position(topic: string, partition: number): number | undefined
  /** `performance.now()` of the sending up to which everything has been handed over. */
  freshAtMs(): number | undefined
  stop(): Promise<void>
}

/**
 * Reads topics from start to end and on, without a consumer group: every instance reads everything,
 * nothing is committed, nothing rebalances. Survives outages of the brokers by itself.
 */
export function createReader(options: ReaderOptions): Reader {
  const { kafka } = options
  const cluster = kafka.createCluster()
  const stopping = new AbortController()
  const freshAt = new Map<string, number | undefined>()
  let lastFreshMs: number | undefined
  let isCaughtUp = false

  const caughtUp = Promise.withResolvers<void>()
  caughtUp.promise.catch(() => {})

  const fail = (error: unknown): void => {
    if (stopping.signal.aborted) return
    stopping.abort()
    fetcher.stop()
    const fault = toKafkaError(error, `read ${options.topics.join(', ')}`)
    caughtUp.reject(fault)
    options.onFatal?.(fault)
  }

  const onAnswer = (sentAtMs: number, answered: readonly FetchedPartition[]): void => {
    for (const { topic, partition, errorCode, nextOffset, highWatermark } of answered) {
      // More is waiting than this answer could hold: then it proves nothing about its sending.
      if (errorCode === 0 && nextOffset >= highWatermark) {
        freshAt.set(`${topic}/${partition}`, sentAtMs)
      }
    }
    let freshMs = Number.POSITIVE_INFINITY
    for (const moment of freshAt.values()) {
      if (moment === undefined) return
      if (moment < freshMs) freshMs = moment
    }
    if (lastFreshMs !== undefined && freshMs <= lastFreshMs) return
    lastFreshMs = freshMs
    if (!isCaughtUp) {
      isCaughtUp = true
      options.onCaughtUp?.()
      caughtUp.resolve()
    }
    options.onFetched?.(freshMs)
  }

  const restart = async (topic: string, partition: number): Promise<void> => {
    await untilDone(kafka, cluster, options.topics, stopping.signal, fail, async () => {
      const [begin] = await listOffsets(cluster, [{ topic, partition }], EARLIEST)
      if (stopping.signal.aborted) return
      options.onRestart?.(topic, partition)
      fetcher.seek(topic, partition, begin?.offset ?? 0)
      fetcher.resume(topic, partition)
    })
  }

  const fetcher = new Fetcher(
    cluster,
    {
      // At the start an answer without data is news: it says that there is nothing.
      maxWaitMs: () => (isCaughtUp ? (options.maxWaitMs ?? 2000) : STARTING_WAIT_MS),
      maxBytes: options.maxBytes ?? 4 * 1024 * 1024,
      maxBytesPerPartition: options.maxBytes ?? 4 * 1024 * 1024,
    },
    {
      onRecords: options.onRecords,
      onAnswer,
      onOffsetOutOfRange: (topic, partition) => {
        kafka.log.warn({ topic, partition }, 'the position is not in the log, reading it all again')
        void restart(topic, partition)
      },
      onFatal: fail,
      onError: (error, attempt) =>
        logRetry(kafka, error, attempt, 'reading', { topics: options.topics }),
    },
  )

  const start = async (): Promise<void> => {
    await untilDone(kafka, cluster, options.topics, stopping.signal, fail, async () => {
      await cluster.connect()
      await cluster.addMultipleTargetTopics([...options.topics])
      const partitions = options.topics.flatMap((topic) => {
        const known = cluster.findTopicPartitionMetadata(topic).map((p) => p.partitionId)
        if (known.length === 0) throw new Error(`topic ${topic} is not known yet`)
        return (options.partitions ?? known).map((partition) => ({ topic, partition }))
      })
      const { from } = options
      const begins = await listOffsets(cluster, partitions, from === 'latest' ? LATEST : EARLIEST)
      if (stopping.signal.aborted) return
      for (const { topic, partition, offset } of begins) {
        const given = typeof from === 'object' ? from[`${topic}/${partition}`] : undefined
        freshAt.set(`${topic}/${partition}`, undefined)
        fetcher.add(topic, partition)
        fetcher.seek(topic, partition, given ?? offset)
      }
      for (const { topic, partition } of begins) fetcher.resume(topic, partition)
    })
  }

  void start()

  return {
    caughtUp: caughtUp.promise,
    position: (topic, partition) => fetcher.position(topic, partition),
    freshAtMs: () => lastFreshMs,
    stop: async () => {
      stopping.abort()
      fetcher.stop()
      caughtUp.reject(new KafkaError('closed', 'the reader was stopped'))
      await closeCluster(cluster)
    },
  }
}

/** Tries until it works, the signal aborts or the credential turns out to be refused. */
async function untilDone(
  kafka: Kafka,
  cluster: Cluster,
  topics: readonly string[],
  signal: AbortSignal,
  onFatal: (error: unknown) => void,
  act: () => Promise<void>,
): Promise<void> {
  for (let attempt = 0; !signal.aborted; attempt++) {
    try {
      return await act()
    } catch (error) {
      if (signal.aborted) return
      if (isUnauthorized(error)) return onFatal(error)
      logRetry(kafka, error, attempt, 'starting to read', { topics })
      await pause(backoffMs(attempt), signal)
      await recoverCluster(cluster, error, topics).catch(() => {})
    }
  }
}
