import { type Claims, NO_CLAIMS } from './assigner/claims.ts'
import { createStickyAssigner, STICKY } from './assigner/sticky-assigner.ts'
import { backoffMs, closeCluster, pause, recoverCluster } from './cluster.ts'
import { CLIENT_RETRY, type Kafka, logRetry } from './connect.ts'
import { isUnauthorized, KafkaError, protocolType, toKafkaError } from './errors.ts'
import { Fetcher } from './fetcher.ts'
import { type CommittedOffset, fetchGroupOffsets, toGroupOffsets } from './group-offsets.ts'
import { type Broker, ConsumerGroup, InstrumentationEmitter, roundRobin } from './internals.ts'
import type { KafkaRecord, TopicPartition } from './record.ts'

export type AssignedPartition = TopicPartition & {
  /**
   * True when this member has had it all along, so nobody else can have had it in between: its
   * position is still there. Otherwise seek before `resume`.
   */
  readonly isKept: boolean
}

export type OffsetToCommit = TopicPartition & {
  /** The first offset that is not finished. */
  readonly offset: number
  /** At most 4096 bytes. */
  readonly metadata?: string | null
}

export type CommitResult =
  | { readonly ok: true }
  | {
      readonly ok: false
      /**
       * - `rebalance`: the group is being divided anew; the new generation decides.
       * - `fenced`: this member or generation is no longer the group's.
       * - `metadata_too_large`: the broker refuses this metadata.
       * - `unavailable`: not answered; may be tried again.
       * - `stopped`: the consumer is not running.
       */
      readonly reason: 'rebalance' | 'fenced' | 'metadata_too_large' | 'unavailable' | 'stopped'
      readonly error?: unknown
    }

export type ConsumerOptions = {
  readonly kafka: Kafka
  readonly groupId: string
  /** Topics that do not exist yet are waited for. */
  readonly topics: readonly string[]
  /**
   * A new generation. All partitions are paused, and none is fetched before `resume`. Synchronous:
   * start longer work from here.
   */
  readonly onAssigned: (
    assignment: readonly AssignedPartition[],
    generation: number,
    memberId: string,
  ) => void
  /**
   * Partitions that are to go to another member; they are paused. Nobody gets them before this has
   * resolved or `handOverMs` have passed: end what is under way and commit. Called before
   * `onAssigned` of the generation under which that happens; a hand-over that has begun goes on over
   * later generations, in which they are not among what is assigned.
   */
  readonly onHandOver?: (partitions: readonly TopicPartition[]) => Promise<void>
  /** How long `onHandOver` may take; default 10 s. */
  readonly handOverMs?: number
  /** Partitions this member no longer has: handed over, or lost. */
  readonly onRevoked?: (partitions: readonly TopicPartition[]) => void
  /**
   * Before this member joins a group that may give its partitions away without waiting for it: it was
   * put out, or an older member divides. Everything is paused, and commits of the old generation
   * may still be taken. Awaited, at most a third of the rebalance timeout and 5 s. In any other
   * rebalance the member works on.
   */
  readonly onRebalancing?: () => Promise<void> | void
  /** Synchronous: only moves records away. What it throws ends the consumer (`onFatal`). */
  readonly onRecords: (
    topic: string,
    partition: number,
    records: readonly KafkaRecord[],
    highWatermark: number,
  ) => void
  /** The log does not have the position. The partition stays paused, nothing is committed. */
  readonly onOffsetOutOfRange: (topic: string, partition: number) => void
  /** It cannot go on: the credential is refused, or a callback threw. Nothing runs any more. */
  readonly onFatal: (error: KafkaError) => void
  /** How long an idle fetch is held back; default 500 ms. Data comes at once anyway. */
  readonly maxWaitMs?: number
  /** Default 30 s. */
  readonly sessionTimeoutMs?: number
  /** Default a tenth of the session timeout, at most a second: it is how soon a rebalance is noticed. */
  readonly heartbeatMs?: number
  /** Default 60 s. */
  readonly rebalanceTimeoutMs?: number
  /** How soon a topic that has grown is noticed; default 60 s. */
  readonly metadataMaxAgeMs?: number
  /** Per request; default 4 MiB. */
  readonly maxBytes?: number
  /** Default 512 KiB; a single larger batch still comes whole. */
  readonly maxBytesPerPartition?: number
}

export type Consumer = {
  /** Where to read next; takes effect at once, what is under way is dropped. */
  seek(topic: string, partition: number, offset: number): void
  /** Nothing of the partition is delivered after this returns. */
  pause(topic: string, partition: number): void
  /** False when the partition is not assigned or has no position (never sought). */
  resume(topic: string, partition: number): boolean
  /** The offset that will be read next. */
  position(topic: string, partition: number): number | undefined
  /** Under `generation` (default: the current one). Never throws. */
  commit(offsets: readonly OffsetToCommit[], generation?: number): Promise<CommitResult>
  /** What the group has committed; throws `deadline` when no coordinator answers for 30 s. */
  fetchCommitted(partitions: readonly TopicPartition[]): Promise<CommittedOffset[]>
  /** Milliseconds (monotonic) since the sending of the last heartbeat that was confirmed. */
  lastHeartbeatAgeMs(): number
  /** Undefined while not a member, and during a rebalance. */
  generation(): number | undefined
  memberId(): string | undefined
  /** Leaves the group at once, so that others need not wait for the session timeout. */
  stop(): Promise<void>
}

const REJOIN_TYPES = new Set(['REBALANCE_IN_PROGRESS', 'ILLEGAL_GENERATION', 'UNKNOWN_MEMBER_ID'])
const FATAL_TYPES = new Set([
  'INVALID_GROUP_ID',
  'INVALID_SESSION_TIMEOUT',
  'INCONSISTENT_GROUP_PROTOCOL',
  'GROUP_MAX_SIZE_REACHED',
])
const COMMIT_ATTEMPTS = 3
const FETCH_COMMITTED_DEADLINE_MS = 30_000
const LEAVE_CAP_MS = 5000
/** One generation is often followed by another, for what was handed over: it is noticed soon. */
const SOON_BEAT_MS = 200
const SOON_FOR_MS = 3000

/**
 * A member of a consumer group that only moves records: no handler runs inside it, heartbeats do not
 * depend on what is done with the records, and nothing decides by itself where to read from.
 *
 * Membership (join, sync) is the client's; who gets what, the fetch loop and the commits are ours.
 *
 * 1. A partition changes hands in two generations: in the first it is given to nobody, and its holder
 *    sees that it is to go; when it has handed it over it joins again without it.
 * 2. A partition is kept over a generation only where every generation since has seen this member's
 *    claim to it. Otherwise another may have had it, however short the gap.
 */
export function createConsumer(options: ConsumerOptions): Consumer {
  const { kafka, groupId } = options
  const sessionTimeoutMs = options.sessionTimeoutMs ?? 30_000
  const heartbeatMs = options.heartbeatMs ?? Math.min(1000, Math.floor(sessionTimeoutMs / 10))
  const rebalanceTimeoutMs = options.rebalanceTimeoutMs ?? 60_000
  const metadataMaxAgeMs = options.metadataMaxAgeMs ?? 60_000
  const cluster = kafka.createCluster({ metadataMaxAgeMs })
  const stopping = new AbortController()

  const group = new ConsumerGroup({
    logger: kafka.clientLog,
    retry: CLIENT_RETRY,
    cluster,
    groupId,
    topics: [...options.topics],
    topicConfigurations: Object.fromEntries(
      options.topics.map((topic) => [topic, { fromBeginning: true }]),
    ),
    instrumentationEmitter: new InstrumentationEmitter(),
    // The second is for a group in which an older version of ours still takes part.
    assigners: [
      createStickyAssigner(cluster, () => claim()),
      roundRobin({ cluster, groupId, logger: kafka.clientLog }),
    ],
    sessionTimeout: sessionTimeoutMs,
    rebalanceTimeout: rebalanceTimeoutMs,
    autoCommit: false,
    isolationLevel: 0,
    metadataMaxAge: metadataMaxAgeMs,
  })

  /** Set while the membership is whole: between a confirmed join and the start of the next one. */
  let generation: number | undefined
  /** Since when nothing has come between this member and the group; undefined after a gap. */
  let unbroken: { readonly memberId: string; generation: number } | undefined
  /** What this member has claimed in the join under way, or in the last one. */
  let claimed: readonly TopicPartition[] = []
  /** What is being handed over. */
  const leaving = new Map<string, TopicPartition>()
  let activeAtMs = Number.NEGATIVE_INFINITY
  let lastBeatAtMs = Number.NEGATIVE_INFINITY
  let isDividing = false
  let joining: Promise<void> | undefined
  let rejoin = new AbortController()

  const fail = (error: unknown): void => {
    if (stopping.signal.aborted) return
    stopping.abort()
    rejoin.abort()
    fetcher.stop()
    const fault = toKafkaError(error, `consume as ${groupId}`)
    kafka.log.error({ err: fault, groupId }, 'the consumer cannot go on')
    void leaveAndClose()
    options.onFatal(fault)
  }

  const fetcher = new Fetcher(
    cluster,
    {
      maxWaitMs: () => options.maxWaitMs ?? 500,
      maxBytes: options.maxBytes ?? 4 * 1024 * 1024,
      maxBytesPerPartition: options.maxBytesPerPartition ?? 512 * 1024,
    },
    {
      onRecords: options.onRecords,
      onOffsetOutOfRange: (topic, partition) => {
        kafka.log.error({ topic, partition, groupId }, 'the position is not in the log')
        options.onOffsetOutOfRange(topic, partition)
      },
      onFatal: fail,
      onError: (error, attempt) => logRetry(kafka, error, attempt, 'fetching', { groupId }),
    },
  )

  const requestRejoin = (type: string | undefined): void => {
    if (type === 'UNKNOWN_MEMBER_ID') group.memberId = null
    // Put out, or passed over: what was ours may be another's already.
    if (type === 'UNKNOWN_MEMBER_ID' || type === 'ILLEGAL_GENERATION') unbroken = undefined
    rejoin.abort()
  }

  /** Asked by the client before each request to join. */
  const claim = (): Claims => {
    if (unbroken !== undefined && !isUnbroken(unbroken)) unbroken = undefined
    claimed = unbroken === undefined ? [] : fetcher.partitions()
    if (unbroken === undefined) return NO_CLAIMS
    return {
      generation: unbroken.generation,
      owned: claimed.filter((at) => !leaving.has(keyOf(at))),
      leaving: claimed.filter((at) => leaving.has(keyOf(at))),
    }
  }

  /** A generation that was joined and ended before its division came is none missed: it knew the claims. */
  const isUnbroken = (since: NonNullable<typeof unbroken>): boolean => {
    if (group.memberId !== since.memberId) return false
    if (group.generationId === since.generation + 1 && group.groupProtocol === STICKY) {
      since.generation += 1
    }
    return group.generationId === since.generation
  }

  const beat = async (): Promise<void> => {
    const sentAtMs = performance.now()
    await (await connectedCoordinator()).heartbeat({
      groupId,
      memberId: group.memberId ?? '',
      groupGenerationId: group.generationId ?? -1,
    })
    lastBeatAtMs = sentAtMs
  }

  const connectedCoordinator = async (): Promise<Broker> => {
    if (group.coordinator === null) {
      group.coordinator = await cluster.findGroupCoordinator({ groupId })
    } else if (!group.coordinator.isConnected()) {
      group.coordinator = await cluster.findBroker({ nodeId: group.coordinator.nodeId })
    }
    return group.coordinator
  }

  const join = async (): Promise<void> => {
    await group.joinAndSync()
    // The join's own time is useless as a sign of life: it may have waited a minute for others.
    const isOver = await beat().then(
      () => false,
      (error: unknown) => {
        // The next generation is being made already: this one still says what is to be handed over.
        if (protocolType(error) !== 'REBALANCE_IN_PROGRESS') throw error
        return true
      },
    )
    if (stopping.signal.aborted) return
    activate()
    if (isOver) requestRejoin(undefined)
  }

  const activate = (): void => {
    const current = group.generationId as number
    const memberId = group.memberId ?? ''
    const isWhole =
      unbroken?.memberId === memberId &&
      (current === unbroken.generation || current === unbroken.generation + 1)
    const given = group
      .assigned()
      .flatMap(({ topic, partitions }) => partitions.map((partition) => ({ topic, partition })))
    const isGiven = new Set(given.map(keyOf))
    // Where the claims were not heard nothing is handed over: it may be another's already.
    const wereHeard = isWhole && group.groupProtocol === STICKY
    const lost = fetcher
      .partitions()
      .filter((at) => !wereHeard && (leaving.has(keyOf(at)) || !isGiven.has(keyOf(at))))
    drop(lost)
    const held = new Set(fetcher.partitions().map(keyOf))
    const going = fetcher
      .partitions()
      .filter((at) => !isGiven.has(keyOf(at)) && !leaving.has(keyOf(at)))
    // One that is being handed over is so to the end: its tasks are no longer started.
    const assignment = given
      .filter((at) => !leaving.has(keyOf(at)))
      .map((at) => ({ ...at, isKept: isWhole && held.has(keyOf(at)) }))
    for (const { topic, partition, isKept } of assignment) {
      if (!isKept) fetcher.remove(topic, partition)
      fetcher.add(topic, partition)
    }
    generation = current
    unbroken = { memberId, generation: current }
    activeAtMs = performance.now()
    isDividing = false
    rejoin = new AbortController()
    try {
      if (lost.length > 0) options.onRevoked?.(lost)
      if (going.length > 0) handOver(going)
      options.onAssigned(assignment, current, memberId)
    } catch (error) {
      throw new CallbackError('a callback threw', { cause: error })
    }
    // Claimed and let go meanwhile: it was kept for this member, and is nobody's until it says so.
    const isSettled = (at: TopicPartition) => isGiven.has(keyOf(at)) || leaving.has(keyOf(at))
    if (!claimed.every(isSettled)) requestRejoin(undefined)
  }

  const drop = (partitions: readonly TopicPartition[]): void => {
    for (const at of partitions) {
      fetcher.remove(at.topic, at.partition)
      leaving.delete(keyOf(at))
    }
  }

  const handOver = (partitions: readonly TopicPartition[]): void => {
    for (const at of partitions) {
      leaving.set(keyOf(at), at)
      fetcher.pause(at.topic, at.partition)
    }
    const cap = new AbortController()
    const capped = Promise.race([
      options.onHandOver?.(partitions),
      pause(options.handOverMs ?? 10_000, cap.signal),
    ])
    const finish = () => {
      cap.abort()
      const gone = partitions.filter((at) => leaving.get(keyOf(at)) === at)
      if (stopping.signal.aborted || gone.length === 0) return
      drop(gone)
      options.onRevoked?.(gone)
      // While a join is under way the end of it sees to this.
      if (generation !== undefined) requestRejoin(undefined)
    }
    capped.then(finish).catch(fail)
  }

  /** Returns when the group wants to be joined again. */
  const stayMember = async (): Promise<void> => {
    for (let failures = 0; !rejoin.signal.aborted; ) {
      const isNew = performance.now() - activeAtMs < SOON_FOR_MS
      const beatMs = isNew ? Math.min(heartbeatMs, SOON_BEAT_MS) : heartbeatMs
      await pause(failures === 0 ? beatMs : backoffMs(failures - 1), rejoin.signal)
      if (rejoin.signal.aborted || stopping.signal.aborted) return
      try {
        await beat()
        failures = 0
        await cluster.refreshMetadataIfNecessary()
        // Throws when a topic has grown: then the partitions have to be divided anew.
        group.checkForStaleAssignment()
      } catch (error) {
        if (stopping.signal.aborted) return
        const type = protocolType(error)
        if (type !== undefined && REJOIN_TYPES.has(type)) return requestRejoin(type)
        if ((error as Error).name === 'KafkaJSStaleTopicMetadataAssignment') {
          return requestRejoin(undefined)
        }
        if (isUnauthorized(error)) throw error
        logRetry(kafka, error, failures, 'the heartbeat', { groupId })
        failures += 1
        group.coordinator = null
        await recoverCluster(cluster, error, options.topics).catch(() => {})
      }
    }
  }

  const pauseAll = async (): Promise<void> => {
    isDividing = true
    for (const { topic, partition } of fetcher.partitions()) fetcher.pause(topic, partition)
    const capMs = Math.min(5000, rebalanceTimeoutMs / 3)
    const cap = new AbortController()
    try {
      await Promise.race([options.onRebalancing?.(), pause(capMs, cap.signal)])
    } finally {
      cap.abort()
    }
  }

  const run = async (): Promise<void> => {
    for (let failures = 0; !stopping.signal.aborted; ) {
      try {
        await cluster.connect()
        await cluster.addMultipleTargetTopics([...options.topics])
        joining = join()
        await joining
        failures = 0
        await stayMember()
        if (stopping.signal.aborted) return
        kafka.log.info({ groupId, generation }, 'the group is being divided anew')
        if (unbroken === undefined || group.groupProtocol !== STICKY) await guarded(pauseAll)
        generation = undefined
      } catch (error) {
        if (stopping.signal.aborted) return
        generation = undefined
        if (isUnauthorized(error) || error instanceof CallbackError || isFatal(error)) {
          return fail(error instanceof CallbackError ? error.cause : error)
        }
        logRetry(kafka, error, failures, 'joining the group', { groupId })
        const type = protocolType(error)
        if (type !== undefined && REJOIN_TYPES.has(type)) requestRejoin(type)
        group.coordinator = null
        await pause(backoffMs(failures), stopping.signal)
        failures += 1
        await recoverCluster(cluster, error, options.topics).catch(() => {})
      } finally {
        joining = undefined
      }
    }
  }

  const leaveAndClose = async (): Promise<void> => {
    const cap = new AbortController()
    const leave = async () => {
      // A member that is dropped while it joins would hold the others up until its session ends.
      await joining?.catch(() => {})
      if (group.memberId !== null) await group.leave()
    }
    await Promise.race([leave().catch(() => {}), pause(LEAVE_CAP_MS, cap.signal)])
    cap.abort()
    await closeCluster(cluster)
  }

  const commitOnce = async (offsets: readonly OffsetToCommit[]): Promise<void> => {
    const coordinator = await connectedCoordinator()
    await coordinator.offsetCommit({
      groupId,
      memberId: group.memberId ?? '',
      groupGenerationId: generation ?? -1,
      topics: toGroupOffsets(offsets),
    })
  }

  void run()
  let stopped: Promise<void> | undefined

  return {
    seek: (topic, partition, offset) => fetcher.seek(topic, partition, offset),
    pause: (topic, partition) => fetcher.pause(topic, partition),
    resume: (topic, partition) =>
      !isDividing && !leaving.has(keyOf({ topic, partition })) && fetcher.resume(topic, partition),
    position: (topic, partition) => fetcher.position(topic, partition),
    generation: () => generation,
    memberId: () => group.memberId ?? undefined,
    lastHeartbeatAgeMs: () => performance.now() - lastBeatAtMs,

    async commit(offsets, under = generation) {
      for (let attempt = 0; ; attempt++) {
        if (stopping.signal.aborted) return { ok: false, reason: 'stopped' }
        if (generation === undefined) return { ok: false, reason: 'rebalance' }
        if (under !== generation) return { ok: false, reason: 'fenced' }
        try {
          await commitOnce(offsets)
          return { ok: true }
        } catch (error) {
          const type = protocolType(error)
          // An answer to what was sent under an earlier generation says nothing about this one.
          const isCurrent = under === generation
          if (type === 'REBALANCE_IN_PROGRESS') {
            if (isCurrent) requestRejoin(type)
            return { ok: false, reason: 'rebalance', error }
          }
          if (type !== undefined && REJOIN_TYPES.has(type)) {
            if (isCurrent) requestRejoin(type)
            return { ok: false, reason: 'fenced', error }
          }
          if (type === 'OFFSET_METADATA_TOO_LARGE') {
            return { ok: false, reason: 'metadata_too_large', error }
          }
          if (attempt + 1 >= COMMIT_ATTEMPTS) return { ok: false, reason: 'unavailable', error }
          group.coordinator = null
          await pause(backoffMs(attempt), stopping.signal)
        }
      }
    },

    async fetchCommitted(partitions) {
      const deadlineAtMs = performance.now() + FETCH_COMMITTED_DEADLINE_MS
      for (let attempt = 0; ; attempt++) {
        if (stopping.signal.aborted) throw new KafkaError('closed', 'the consumer was stopped')
        try {
          return await fetchGroupOffsets(await connectedCoordinator(), groupId, partitions)
        } catch (error) {
          if (isUnauthorized(error)) throw toKafkaError(error, `read offsets of ${groupId}`)
          if (performance.now() > deadlineAtMs) {
            throw new KafkaError('deadline', `no coordinator answers for ${groupId}`, error)
          }
          group.coordinator = null
          await pause(backoffMs(attempt), stopping.signal)
        }
      }
    },

    stop() {
      stopped ??= (async () => {
        stopping.abort()
        rejoin.abort()
        fetcher.stop()
        generation = undefined
        await leaveAndClose()
      })()
      return stopped
    },
  }
}

const keyOf = ({ topic, partition }: TopicPartition) => `${topic}/${partition}`

/** Marks what the caller's own code threw, so that it is not taken for an outage and retried. */
class CallbackError extends Error {}

async function guarded(act: () => Promise<void>): Promise<void> {
  try {
    await act()
  } catch (error) {
    throw new CallbackError('a callback threw', { cause: error })
  }
}

function isFatal(error: unknown): boolean {
  const type = protocolType(error)
  return type !== undefined && FATAL_TYPES.has(type)
}
