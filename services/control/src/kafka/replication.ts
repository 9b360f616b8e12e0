import type { Admin } from '@weir/kafka'

export type Replication = {
  readonly topicReplication: number | undefined
  readonly topicInSyncMin: number | undefined
}

/**
 * The same, but topics are made with this many copies. Records are always written with all copies in
 * sync: with 3 and 2 a broker may be away and nothing that was acknowledged is lost.
 */
export function withReplication(
  admin: Admin,
  { topicReplication: replicationFactor, topicInSyncMin: inSyncMin }: Replication,
): Admin {
  if (replicationFactor !== undefined && inSyncMin !== undefined && inSyncMin > replicationFactor)
    throw new Error('WEIR_KAFKA_MIN_IN_SYNC must not be more than WEIR_KAFKA_REPLICATION')
  return {
    ...admin,
    createTopics: (topics) =>
      admin.createTopics(
        topics.map((topic) => ({
          ...topic,
          ...(replicationFactor !== undefined && { replicationFactor }),
          ...(inSyncMin !== undefined && {
            config: { ...topic.config, 'min.insync.replicas': String(inSyncMin) },
          }),
        })),
      ),
  }
}
