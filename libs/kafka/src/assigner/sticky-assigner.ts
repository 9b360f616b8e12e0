import { type Cluster, MemberAssignment, MemberMetadata } from '../internals.ts'
import { type Claims, decodeClaims, encodeClaims } from './claims.ts'
import { divide } from './divide.ts'

export const STICKY = 'weir-sticky'

type JoinedMember = { readonly memberId: string; readonly memberMetadata: Buffer }

/**
 * Our assigner as the client takes it. `claimsOf` is asked each time that the member asks to join;
 * only the member that leads divides.
 */
export function createStickyAssigner(cluster: Cluster, claimsOf: () => Claims) {
  return {
    name: STICKY,
    version: 1,

    protocol({ topics }: { readonly topics: readonly string[] }) {
      const userData = encodeClaims(claimsOf())
      return { name: STICKY, metadata: MemberMetadata.encode({ version: 1, topics, userData }) }
    },

    async assign(group: {
      readonly members: readonly JoinedMember[]
      readonly topics: readonly string[]
    }) {
      const partitions = new Map(
        group.topics.map((topic) => [
          topic,
          cluster.findTopicPartitionMetadata(topic).map(({ partitionId }) => partitionId),
        ]),
      )
      const members = group.members.map(({ memberId, memberMetadata }) => {
        const { topics, userData } = MemberMetadata.decode(memberMetadata)
        return { id: memberId, topics, claims: decodeClaims(userData) }
      })
      return [...divide(partitions, members)].map(([memberId, list]) => {
        const grouped = Map.groupBy(list, ({ topic }) => topic)
        const assignment = Object.fromEntries(
          [...grouped].map(([topic, some]) => [topic, some.map(({ partition }) => partition)]),
        )
        return { memberId, memberAssignment: MemberAssignment.encode({ version: 1, assignment }) }
      })
    },
  }
}
