import { type Acl, anyOf, fromProtocol, toProtocol } from './acl.ts'
import { createAllCommitted } from './all-committed.ts'
import { backoffMs, closeCluster, pause, recoverCluster } from './cluster.ts'
import { CLIENT_RETRY, type Kafka } from './connect.ts'
import { isUnauthorized, KafkaError, protocolType, toKafkaError } from './errors.ts'
import { type CommittedOffset, fetchGroupOffsets, toGroupOffsets } from './group-offsets.ts'
import { type ClientError, createClientAdmin, InstrumentationEmitter } from './internals.ts'
import { EARLIEST, LATEST, listOffsets, type PartitionOffset } from './offsets.ts'
import type { TopicPartition } from './record.ts'
import { fetchRecordTimes, type RecordTime } from './record-times.ts'
import type { GroupPartitions } from './wire/offset-fetch.ts'

export type NewTopic = {
  readonly topic: string
  readonly partitions: number
  /** Default: the broker's. */
  readonly replicationFactor?: number
  readonly config?: Readonly<Record<string, string>>
}

export type Admin = {
  /** Creates what is missing; what exists is left as it is. */
  createTopics(topics: readonly NewTopic[]): Promise<void>
  createPartitions(topic: string, count: number): Promise<void>
  /** Of the topics that exist. */
  partitionCounts(topics: readonly string[]): Promise<Map<string, number>>
  topicExists(topic: string): Promise<boolean>
  deleteTopics(topics: readonly string[]): Promise<void>
  /** The offset the next record gets, of every partition; one request per leader. */
  fetchEndOffsets(topics: readonly string[]): Promise<PartitionOffset[]>
  /** The first offset that is still there. */
  fetchBeginOffsets(topics: readonly string[]): Promise<PartitionOffset[]>
  /** The first offset at or after a time (ms since the epoch); -1 when there is none. */
  fetchOffsetsAt(topics: readonly string[], timeMs: number): Promise<PartitionOffset[]>
  fetchCommitted(groupId: string, partitions: readonly TopicPartition[]): Promise<CommittedOffset[]>
  /** Of many groups at once, by their ids: one request to each broker that coordinates some. */
  fetchAllCommitted(groups: readonly GroupPartitions[]): Promise<Map<string, CommittedOffset[]>>
  /** When single records were appended (or made, as the topic has it); one request each. */
  fetchRecordTimes(records: readonly PartitionOffset[]): Promise<RecordTime[]>
  /**
   * Writes offsets of a group without being its member. Throws `not_empty` when the group has
   * members: their own commits would win anyway.
   */
  commitAsAdmin(
    groupId: string,
    offsets: readonly (TopicPartition & { offset: number; metadata?: string | null })[],
  ): Promise<void>
  deleteGroup(groupId: string): Promise<void>
  /** Deletes the records before each offset, for all readers, for good. */
  deleteRecords(topic: string, before: Readonly<Record<number, number>>): Promise<void>
  /** The ACLs there are for a principal that we know the kind of; others are left out. */
  listAcls(principal: string): Promise<Acl[]>
  /** What exists is left as it is. */
  createAcls(acls: readonly Acl[]): Promise<void>
  disconnect(): Promise<void>
}

const DEADLINE_MS = 30_000
const NOT_EMPTY_TYPES = new Set(['UNKNOWN_MEMBER_ID', 'NON_EMPTY_GROUP', 'ILLEGAL_GENERATION'])
/** Known by the client as final, but passing: what a broker says while it starts or hands over. */
const PASSING_TYPES = new Set(['NOT_CONTROLLER', 'REQUEST_TIMED_OUT', 'COORDINATOR_NOT_AVAILABLE'])

/** Deleting what is not there is done already. */
function isGroupGone(error: unknown): boolean {
  const { groups } = error as { groups?: readonly { error?: { type?: string } }[] }
  return groups?.every((group) => group.error?.type === 'GROUP_ID_NOT_FOUND') ?? false
}

/** Administrative calls over one connection, opened by the first of them. Each has 30 s. */
export function createAdmin({ kafka }: { readonly kafka: Kafka }): Admin {
  const cluster = kafka.createCluster()
  const stopping = new AbortController()
  let creating: Promise<void> = Promise.resolve()
  const allCommitted = createAllCommitted(cluster)
  const client = createClientAdmin({
    logger: kafka.clientLog,
    instrumentationEmitter: new InstrumentationEmitter(),
    retry: CLIENT_RETRY,
    cluster,
  })

  const attempt = async <T>(
    doing: string,
    act: () => Promise<T>,
    passes: (error: unknown) => boolean = isPassing,
  ): Promise<T> => {
    const deadlineAtMs = performance.now() + DEADLINE_MS
    for (let count = 0; ; count++) {
      if (stopping.signal.aborted) throw new KafkaError('closed', 'the admin is closed')
      try {
        await cluster.connect()
        return await act()
      } catch (error) {
        if (!passes(error)) throw toKafkaError(error, doing)
        if (performance.now() > deadlineAtMs) {
          const hint = kafka.explain(error)
          const told = `${doing}: no answer within ${DEADLINE_MS} ms${hint ? `; ${hint}` : ''}`
          throw new KafkaError('deadline', told, error)
        }
        await pause(backoffMs(count), stopping.signal)
        await recoverCluster(cluster, error).catch(() => {})
      }
    }
  }

  const counts = async (topics: readonly string[]): Promise<Map<string, number>> => {
    const { topicMetadata } = await cluster.metadata()
    return new Map(
      topicMetadata
        .filter(({ topic }) => topics.includes(topic))
        .map(({ topic, partitionMetadata }) => [topic, partitionMetadata.length]),
    )
  }

  const offsetsAt = (topics: readonly string[], atTime: number) =>
    attempt(`offsets of ${topics.join(', ')}`, async () => {
      await cluster.addMultipleTargetTopics([...topics])
      await cluster.refreshMetadataIfNecessary()
      const partitions = topics.flatMap((topic) =>
        cluster
          .findTopicPartitionMetadata(topic)
          .map(({ partitionId }) => ({ topic, partition: partitionId })),
      )
      return listOffsets(cluster, partitions, atTime)
    })

  return {
    createTopics: (topics) => {
      if (topics.length === 0) return Promise.resolve()
      const create = () =>
        attempt(
          'create topics',
          async () => {
            await client.createTopics({
              topics: topics.map(({ topic, partitions, replicationFactor = -1, config = {} }) => ({
                topic,
                numPartitions: partitions,
                replicationFactor,
                configEntries: Object.entries(config).map(([name, value]) => ({ name, value })),
              })),
              timeout: 10_000,
              waitForLeaders: true,
            })
          },
          isPassingForNewTopic,
        )
      // One after the other: the client waits for the leaders of all topics that it has ever been
      // told of, so a call would fail on the topics of another that are not made yet.
      creating = creating.then(create, create)
      return creating
    },

    createPartitions: (topic, count) =>
      attempt(`grow ${topic}`, () =>
        client.createPartitions({ topicPartitions: [{ topic, count }], timeout: 10_000 }),
      ),

    partitionCounts: (topics) => attempt('count partitions', () => counts(topics)),

    topicExists: async (topic) =>
      (await attempt('look up a topic', () => counts([topic]))).has(topic),

    deleteTopics: (topics) =>
      attempt('delete topics', () => client.deleteTopics({ topics: [...topics], timeout: 10_000 })),

    fetchEndOffsets: (topics) => offsetsAt(topics, LATEST),
    fetchBeginOffsets: (topics) => offsetsAt(topics, EARLIEST),
    fetchOffsetsAt: (topics, timeMs) => offsetsAt(topics, timeMs),

    fetchCommitted: (groupId, partitions) =>
      attempt(`offsets of group ${groupId}`, async () => {
        await cluster.refreshMetadataIfNecessary()
        const coordinator = await cluster.findGroupCoordinator({ groupId })
        return fetchGroupOffsets(coordinator, groupId, partitions)
      }),

    fetchAllCommitted: (groups) =>
      attempt('offsets of groups', async () => {
        await cluster.refreshMetadataIfNecessary()
        try {
          return await allCommitted.fetch(groups)
        } catch (error) {
          allCommitted.forget()
          throw error
        }
      }),

    fetchRecordTimes: (records) =>
      attempt('times of records', async () => {
        await cluster.addMultipleTargetTopics([...new Set(records.map(({ topic }) => topic))])
        return fetchRecordTimes(cluster, records)
      }),

    commitAsAdmin: async (groupId, offsets) => {
      await attempt(
        `commit for group ${groupId}`,
        async () => {
          await cluster.refreshMetadataIfNecessary()
          const coordinator = await cluster.findGroupCoordinator({ groupId })
          try {
            // Generation -1 is how the protocol says "not as a member".
            await coordinator.offsetCommit({
              groupId,
              memberId: '',
              groupGenerationId: -1,
              topics: toGroupOffsets(offsets),
            })
          } catch (error) {
            if (!NOT_EMPTY_TYPES.has(protocolType(error) ?? '')) throw error
            throw new KafkaError('not_empty', `group ${groupId} has members`, error)
          }
        },
        isPassingForNewTopic,
      )
    },

    deleteGroup: async (groupId) => {
      await attempt(`delete group ${groupId}`, async () => {
        await cluster.refreshMetadataIfNecessary()
        await client.deleteGroups([groupId]).catch((error: unknown) => {
          if (!isGroupGone(error)) throw error
        })
      })
    },

    deleteRecords: (topic, before) =>
      attempt(`delete records of ${topic}`, () =>
        client.deleteTopicRecords({
          topic,
          partitions: Object.entries(before).map(([partition, offset]) => ({
            partition: Number(partition),
            offset: String(offset),
          })),
        }),
      ),

    listAcls: (principal) =>
      attempt(`ACLs of ${principal}`, async () =>
        fromProtocol(await client.describeAcls(anyOf(principal))),
      ),

    createAcls: (acls) =>
      attempt('create ACLs', async () => {
        if (acls.length > 0) await client.createAcls({ acl: acls.map(toProtocol) })
      }),

    disconnect: async () => {
      stopping.abort()
      await closeCluster(cluster)
    },
  }
}

function isPassing(error: unknown): boolean {
  if (error instanceof KafkaError || isUnauthorized(error)) return false
  const type = protocolType(error)
  if (type === undefined) return !(error instanceof TypeError)
  if (PASSING_TYPES.has(type)) return true
  if (type === 'UNKNOWN_TOPIC_OR_PARTITION') return false
  return innermost(error).retriable === true
}

/** A broker may not have heard yet of a topic that the controller has just made. */
function isPassingForNewTopic(error: unknown): boolean {
  return protocolType(error) === 'UNKNOWN_TOPIC_OR_PARTITION' || isPassing(error)
}

function innermost(error: unknown): ClientError {
  let current = error as ClientError
  for (let depth = 0; depth < 8; depth++) {
    const next = (current.cause ?? current.errors?.[0]) as ClientError | undefined
    if (next === undefined || next === null) break
    current = next
  }
  return current
}
