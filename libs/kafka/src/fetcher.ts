import { backoffMs, pause, recoverCluster } from './cluster.ts'
import { isUnauthorized } from './errors.ts'
import { type Broker, type Cluster, createErrorFromCode, type WireRequest } from './internals.ts'
import { createPace } from './pace.ts'
import type { KafkaRecord, TopicPartition } from './record.ts'
import { decodeFetch, type FetchedPartition, type FetchResponse } from './wire/decode-fetch.ts'
import { encodeFetch, FETCH, type FetchTarget } from './wire/encode-fetch.ts'

export type FetchLimits = {
  /** Milliseconds an answer without data is held back by the broker; asked for each request. */
  readonly maxWaitMs: () => number
  readonly maxBytes: number
  readonly maxBytesPerPartition: number
}

export type FetcherEvents = {
  /** Synchronous; the position has already moved behind these records. */
  onRecords(
    topic: string,
    partition: number,
    records: readonly KafkaRecord[],
    highWatermark: number,
  ): void
  /** The log does not have the position (any more). The partition is paused when this is called. */
  onOffsetOutOfRange(topic: string, partition: number): void
  /** After all partitions of an answer were handed over. `sentAtMs` is `performance.now()`. */
  onAnswer?(sentAtMs: number, partitions: readonly FetchedPartition[]): void
  /** The credential is refused, or a callback threw: nothing is fetched any more. */
  onFatal(error: Error): void
  /** `attempt` counts the failures in a row, from 0. */
  onError(error: unknown, attempt: number): void
}

type Position = {
  readonly topic: string
  readonly partition: number
  /** Unknown until the caller has said from where: no default, so nothing jumps silently. */
  offset: number | undefined
  paused: boolean
  /** An answer to a request of an older epoch is not delivered. */
  epoch: number
}

const OFFSET_OUT_OF_RANGE = 1
const PAUSED_WAIT_MS = 50

/**
 * Fetches from every broker that leads an unpaused partition, one request at a time each.
 *
 * 1. A partition without a position, or paused, is never in a request.
 * 2. What comes back for a partition that was paused, sought or removed meanwhile is dropped; its
 *    position stays as the caller last set it.
 * 3. With nothing to fetch no request and no timer is under way; `wake` starts again at once.
 * 4. While any partition is paused, waits are short: a request cannot be called back, and a resumed
 *    partition has to wait for the one under way.
 */
export class Fetcher {
  readonly #cluster: Cluster
  readonly #limits: FetchLimits
  readonly #events: FetcherEvents
  readonly #positions = new Map<string, Position>()
  readonly #busy = new Set<number>()
  readonly #stop = new AbortController()
  readonly #pace = createPace()
  #failures = 0
  #isWaking = false
  #recovering = false

  constructor(cluster: Cluster, limits: FetchLimits, events: FetcherEvents) {
    this.#cluster = cluster
    this.#limits = limits
    this.#events = events
  }

  /** Adds the partition, paused; keeps the position of one that is there. */
  add(topic: string, partition: number): void {
    const position = this.#find(topic, partition)
    if (position === undefined) {
      this.#positions.set(keyOf(topic, partition), {
        topic,
        partition,
        offset: undefined,
        paused: true,
        epoch: 0,
      })
    } else this.pause(topic, partition)
  }

  remove(topic: string, partition: number): void {
    const position = this.#find(topic, partition)
    if (position !== undefined) position.epoch += 1
    this.#positions.delete(keyOf(topic, partition))
  }

  pause(topic: string, partition: number): void {
    const position = this.#find(topic, partition)
    if (position === undefined || position.paused) return
    position.paused = true
    position.epoch += 1
  }

  seek(topic: string, partition: number, offset: number): void {
    const position = this.#find(topic, partition)
    if (position === undefined) return
    position.offset = offset
    position.epoch += 1
  }

  /**
   * False when the partition is not there or has no position yet. The request goes out at the end
   * of this turn of the event loop, so that partitions resumed together are asked for together.
   */
  resume(topic: string, partition: number): boolean {
    const position = this.#find(topic, partition)
    if (position?.offset === undefined) return false
    position.paused = false
    this.#wakeSoon()
    return true
  }

  position(topic: string, partition: number): number | undefined {
    return this.#find(topic, partition)?.offset
  }

  #topics(): string[] {
    return [...new Set([...this.#positions.values()].map(({ topic }) => topic))]
  }

  partitions(): TopicPartition[] {
    return [...this.#positions.values()].map(({ topic, partition }) => ({ topic, partition }))
  }

  stop(): void {
    this.#stop.abort()
  }

  /** Sends a request to each broker that has something to give and is not asked already. */
  wake(): void {
    if (this.#stop.signal.aborted || this.#recovering) return
    const byLeader = new Map<number, FetchTarget[]>()
    let hasPaused = false
    for (const position of this.#positions.values()) {
      if (position.paused || position.offset === undefined) {
        hasPaused = true
        continue
      }
      const leader = this.#leaderOf(position)
      if (leader === undefined) {
        this.#recover(
          new Error(`no leader is known for ${keyOf(position.topic, position.partition)}`),
        )
        return
      }
      const target = {
        topic: position.topic,
        partition: position.partition,
        offset: position.offset,
      }
      const targets = byLeader.get(leader)
      if (targets === undefined) byLeader.set(leader, [target])
      else targets.push(target)
    }
    for (const [leader, targets] of byLeader) {
      if (this.#busy.has(leader)) continue
      this.#busy.add(leader)
      const again = () => {
        this.#busy.delete(leader)
        this.wake()
      }
      this.#fetch(leader, targets, hasPaused).then(
        (lingerMs) => {
          if (lingerMs > 0) setTimeout(again, lingerMs)
          else again()
        },
        (error: unknown) => {
          this.#busy.delete(leader)
          this.#recover(error)
        },
      )
    }
  }

  #wakeSoon(): void {
    if (this.#isWaking) return
    this.#isWaking = true
    queueMicrotask(() => {
      this.#isWaking = false
      this.wake()
    })
  }

  /** How long the next request to this broker may wait, in milliseconds. */
  async #fetch(leader: number, targets: FetchTarget[], hasPaused: boolean): Promise<number> {
    await this.#cluster.refreshMetadataIfNecessary()
    const broker = await this.#cluster.findBroker({ nodeId: leader })
    if (this.#stop.signal.aborted) return 0
    const epochs = targets.map(({ topic, partition }) => this.#find(topic, partition)?.epoch)
    const offsets = new Map(targets.map((t) => [keyOf(t.topic, t.partition), t.offset]))
    const idleWaitMs = this.#limits.maxWaitMs()
    const maxWaitMs = hasPaused ? Math.min(idleWaitMs, PAUSED_WAIT_MS) : idleWaitMs
    const sentAtMs = performance.now()
    const answer = await sendFetch(broker, inFairOrder(targets), offsets, {
      ...this.#limits,
      maxWaitMs,
      minBytes: 1,
    })
    if (this.#stop.signal.aborted) return 0
    if (answer.errorCode !== 0) throw createErrorFromCode(answer.errorCode)
    this.#failures = 0
    try {
      this.#deliver(answer, targets, epochs)
      this.#events.onAnswer?.(sentAtMs, answer.partitions)
    } catch (error) {
      // The position has moved: to go on would lose what the callback did not take.
      this.#fail(error)
      return 0
    }
    const failed = answer.partitions.find(
      ({ errorCode }) => errorCode !== 0 && errorCode !== OFFSET_OUT_OF_RANGE,
    )
    if (failed !== undefined) throw createErrorFromCode(failed.errorCode)
    const count = answer.partitions.reduce((sum, { records }) => sum + records.length, 0)
    return this.#pace.lingerAfter(count, performance.now())
  }

  #deliver(
    answer: FetchResponse,
    targets: readonly FetchTarget[],
    epochs: readonly (number | undefined)[],
  ): void {
    const sentEpochs = new Map(
      targets.map((target, index) => [keyOf(target.topic, target.partition), epochs[index]]),
    )
    for (const fetched of answer.partitions) {
      const { topic, partition } = fetched
      const position = this.#find(topic, partition)
      if (position === undefined || position.paused) continue
      if (position.epoch !== sentEpochs.get(keyOf(topic, partition))) continue
      if (fetched.errorCode === OFFSET_OUT_OF_RANGE) {
        this.pause(topic, partition)
        this.#events.onOffsetOutOfRange(topic, partition)
        continue
      }
      if (fetched.errorCode !== 0) continue
      position.offset = fetched.nextOffset
      if (fetched.records.length > 0) {
        this.#events.onRecords(topic, partition, fetched.records, fetched.highWatermark)
      }
    }
  }

  /** One recovery at a time: metadata anew, then all brokers are asked again. Never gives up. */
  #recover(error: unknown): void {
    if (this.#stop.signal.aborted || this.#recovering) return
    if (isUnauthorized(error)) {
      this.#fail(error)
      return
    }
    this.#recovering = true
    const attempt = this.#failures++
    this.#events.onError(error, attempt)
    const again = async (): Promise<void> => {
      await pause(attempt === 0 ? 20 : backoffMs(attempt), this.#stop.signal)
      if (this.#stop.signal.aborted) return
      let next: unknown
      try {
        await recoverCluster(this.#cluster, error, this.#topics())
      } catch (failure) {
        next = failure
      }
      this.#recovering = false
      if (next === undefined) this.wake()
      else this.#recover(next)
    }
    void again()
  }

  #fail(error: unknown): void {
    this.#stop.abort()
    this.#events.onFatal(error instanceof Error ? error : new Error(String(error)))
  }

  #leaderOf({ topic, partition }: TopicPartition): number | undefined {
    try {
      const found = this.#cluster
        .findTopicPartitionMetadata(topic)
        .find(({ partitionId }) => partitionId === partition)
      return found === undefined || found.leader < 0 ? undefined : found.leader
    } catch {
      return undefined
    }
  }

  #find(topic: string, partition: number): Position | undefined {
    return this.#positions.get(keyOf(topic, partition))
  }
}

function sendFetch(
  broker: Broker,
  targets: readonly FetchTarget[],
  offsets: ReadonlyMap<string, number>,
  limits: { maxWaitMs: number; minBytes: number; maxBytes: number; maxBytesPerPartition: number },
): Promise<FetchResponse> {
  const request: WireRequest<FetchResponse> = {
    request: { ...FETCH, encode: () => encodeFetch(targets, limits) },
    response: {
      decode: (payload) => decodeFetch(payload, (t, p) => offsets.get(keyOf(t, p)) ?? 0),
      parse: (decoded) => decoded,
    },
    requestTimeout: limits.maxWaitMs + 5000,
  }
  return broker.connectionPool.send(request)
}

/**
 * The broker fills an answer in the order of the request up to its size limit, so the order rotates
 * at random: no partition is last for ever. Partitions of a topic stay together, as the request
 * needs them.
 */
function inFairOrder(targets: readonly FetchTarget[]): FetchTarget[] {
  const byTopic = new Map<string, FetchTarget[]>()
  for (const target of targets) {
    const list = byTopic.get(target.topic)
    if (list === undefined) byTopic.set(target.topic, [target])
    else list.push(target)
  }
  return rotate([...byTopic.values()]).flatMap(rotate)
}

function rotate<T>(list: T[]): T[] {
  const by = Math.floor(Math.random() * list.length)
  return by === 0 ? list : [...list.slice(by), ...list.slice(0, by)]
}

function keyOf(topic: string, partition: number): string {
  return `${topic}/${partition}`
}
