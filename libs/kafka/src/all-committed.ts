import type { CommittedOffset } from './group-offsets.ts'
import { type Broker, type Cluster, createErrorFromCode, type WireRequest } from './internals.ts'
import {
  decodeOffsetFetch,
  encodeOffsetFetch,
  type GroupPartitions,
  OFFSET_FETCH,
  type OffsetFetchAnswer,
} from './wire/offset-fetch.ts'

export type AllCommitted = {
  /** What each group has committed, by its id; one request to each broker that coordinates some. */
  fetch(groups: readonly GroupPartitions[]): Promise<Map<string, CommittedOffset[]>>
  /** Coordinators are looked up anew. */
  forget(): void
}

/** Asks for the offsets of many groups at once; who coordinates a group is remembered. */
export function createAllCommitted(cluster: Cluster): AllCommitted {
  const nodes = new Map<string, string | number>()

  const coordinatorOf = async (groupId: string): Promise<string | number> => {
    const known = nodes.get(groupId)
    if (known !== undefined) return known
    const { nodeId } = await cluster.findGroupCoordinator({ groupId })
    nodes.set(groupId, nodeId)
    return nodeId
  }

  return {
    async fetch(groups) {
      const byNode = new Map<string | number, GroupPartitions[]>()
      for (const group of groups) {
        const nodeId = await coordinatorOf(group.groupId)
        byNode.set(nodeId, [...(byNode.get(nodeId) ?? []), group])
      }
      const answers = await Promise.all(
        [...byNode].map(async ([nodeId, asked]) => {
          return sendOffsetFetch(await cluster.findBroker({ nodeId }), asked)
        }),
      )
      const found = new Map<string, CommittedOffset[]>()
      for (const group of answers.flatMap((answer) => answer.groups)) {
        const fault = [group, ...group.partitions].find(({ errorCode }) => errorCode !== 0)
        if (fault !== undefined) throw createErrorFromCode(fault.errorCode)
        found.set(
          group.groupId,
          group.partitions.map(({ topic, partition, offset, metadata }) => ({
            topic,
            partition,
            offset: offset < 0 ? null : offset,
            metadata: offset < 0 || metadata === '' ? null : metadata,
          })),
        )
      }
      return found
    },
    forget: () => nodes.clear(),
  }
}

function sendOffsetFetch(
  broker: Broker,
  groups: readonly GroupPartitions[],
): Promise<OffsetFetchAnswer> {
  const request: WireRequest<OffsetFetchAnswer> = {
    request: { ...OFFSET_FETCH, encode: () => encodeOffsetFetch(groups) },
    response: { decode: decodeOffsetFetch, parse: (decoded) => decoded },
  }
  return broker.connectionPool.send(request)
}
