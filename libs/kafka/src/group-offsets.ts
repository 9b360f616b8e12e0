import type { Broker, GroupOffsets } from './internals.ts'
import type { TopicPartition } from './record.ts'

export type CommittedOffset = TopicPartition & {
  /** Null when nothing is committed, and for the client's placeholders -1 and -2. */
  readonly offset: number | null
  readonly metadata: string | null
}

export async function fetchGroupOffsets(
  coordinator: Broker,
  groupId: string,
  partitions: readonly TopicPartition[],
): Promise<CommittedOffset[]> {
  if (partitions.length === 0) return []
  const topics = byTopic(partitions).map(([topic, list]) => ({
    topic,
    partitions: list.map(({ partition }) => ({ partition })),
  }))
  const { responses } = await coordinator.offsetFetch({ groupId, topics })
  return responses.flatMap(({ topic, partitions: found }) =>
    found.map(({ partition, offset, metadata }) => {
      const isNone = Number(offset) < 0
      return {
        topic,
        partition,
        offset: isNone ? null : Number(offset),
        metadata: isNone || metadata === '' ? null : (metadata ?? null),
      }
    }),
  )
}

export function toGroupOffsets(
  offsets: readonly (TopicPartition & { offset: number; metadata?: string | null })[],
): GroupOffsets[] {
  return byTopic(offsets).map(([topic, list]) => ({
    topic,
    partitions: list.map(({ partition, offset, metadata }) => ({
      partition,
      offset: String(offset),
      metadata: metadata ?? null,
    })),
  }))
}

function byTopic<T extends TopicPartition>(list: readonly T[]): [string, T[]][] {
  const topics = new Map<string, T[]>()
  for (const entry of list) {
    const there = topics.get(entry.topic)
    if (there === undefined) topics.set(entry.topic, [entry])
    else there.push(entry)
  }
  return [...topics]
}
