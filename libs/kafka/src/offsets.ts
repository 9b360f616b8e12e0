import type { Cluster } from './internals.ts'
import type { TopicPartition } from './record.ts'

/** Where a log ends (high watermark: the offset the next record gets), or where it begins. */
export const LATEST = -1
export const EARLIEST = -2

export type PartitionOffset = TopicPartition & { readonly offset: number }

/**
 * One request to each leader. `atTime` is `LATEST`, `EARLIEST` or milliseconds since the epoch (then
 * the first record not older, or -1 when there is none). The topics must be among the cluster's.
 */
export async function listOffsets(
  cluster: Cluster,
  partitions: readonly TopicPartition[],
  atTime: number,
): Promise<PartitionOffset[]> {
  const byLeader = new Map<number, Map<string, { partition: number; timestamp: number }[]>>()
  for (const { topic, partition } of partitions) {
    const found = cluster
      .findTopicPartitionMetadata(topic)
      .find(({ partitionId }) => partitionId === partition)
    if (found === undefined || found.leader < 0) {
      throw new Error(`no leader is known for ${topic}/${partition}`)
    }
    const byTopic = byLeader.get(found.leader) ?? new Map()
    byLeader.set(found.leader, byTopic)
    const wanted = byTopic.get(topic) ?? []
    byTopic.set(topic, wanted)
    wanted.push({ partition, timestamp: atTime })
  }
  const answers = await Promise.all(
    [...byLeader].map(async ([leader, byTopic]) => {
      const broker = await cluster.findBroker({ nodeId: leader })
      return broker.listOffsets({
        replicaId: -1,
        isolationLevel: 0,
        topics: [...byTopic].map(([topic, wanted]) => ({ topic, partitions: wanted })),
      })
    }),
  )
  return answers.flatMap(({ responses }) =>
    responses.flatMap(({ topic, partitions: found }) =>
      found.map(({ partition, offset }) => ({ topic, partition, offset: Number(offset) })),
    ),
  )
}
