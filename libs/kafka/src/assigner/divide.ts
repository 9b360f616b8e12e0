import type { TopicPartition } from '../record.ts'
import type { Claims } from './claims.ts'

export type GroupMember = {
  readonly id: string
  readonly topics: readonly string[]
  readonly claims: Claims
}

/** Partitions by member, every member named. */
export type Division = ReadonlyMap<string, readonly TopicPartition[]>

type Holder = { readonly member: string; readonly generation: number; readonly isLeaving: boolean }

/** A member while partitions are dealt out. */
type Hand = {
  readonly id: string
  readonly topics: ReadonlySet<string>
  readonly held: Map<string, number[]>
  total: number
}

/**
 * Divides the partitions of a group. What it keeps to:
 *
 * 1. Of each topic the members that read it have equally many, give or take one; and so over all
 *    topics, where all members read the same ones. A lane is a topic: no instance has all the work.
 * 2. Inside that a partition stays with the member that holds it.
 * 3. A partition that another member still holds is given to nobody: its holder sees that it is to
 *    go, hands it over and joins again without it. So no partition ever has two members at work.
 * 4. The same members in any order give the same division: it does not matter which of them leads.
 *
 * `partitions` names those of each topic.
 */
export function divide(
  partitions: ReadonlyMap<string, readonly number[]>,
  members: readonly GroupMember[],
): Division {
  const holders = findHolders(members)
  const topics = [...partitions.keys()].sort(compare)
  const hands = members
    .toSorted((a, b) => compare(a.id, b.id))
    .map((member): Hand => {
      return { id: member.id, topics: new Set(member.topics), held: new Map(), total: 0 }
    })
  const own = takeUp(partitions, hands, holders)
  const free = topics.map((topic) => layDown(topic, partitions.get(topic) ?? [], hands))
  topics.forEach((topic, at) => {
    dealOut(topic, free[at] ?? [], hands)
  })
  evenOut(topics, hands, own)
  return new Map(
    hands.map(({ id, held }) => {
      const all = topics.flatMap((topic) =>
        (held.get(topic) ?? [])
          .toSorted((a, b) => a - b)
          .map((partition): TopicPartition => ({ topic, partition })),
      )
      const isFree = (at: TopicPartition) => {
        const holder = holders.get(keyOf(at.topic, at.partition))
        return holder === undefined || (holder.member === id && !holder.isLeaving)
      }
      return [id, all.filter(isFree)]
    }),
  )
}

/** Who holds what: of two that claim the same the one that joined later has it. */
function findHolders(members: readonly GroupMember[]): Map<string, Holder> {
  const holders = new Map<string, Holder>()
  for (const { id, topics, claims } of members) {
    const { generation, owned, leaving } = claims
    const claim = (list: readonly TopicPartition[], isLeaving: boolean) => {
      for (const { topic, partition } of list) {
        if (!topics.includes(topic)) continue
        const key = keyOf(topic, partition)
        const before = holders.get(key)
        const wins =
          before === undefined ||
          generation > before.generation ||
          (generation === before.generation && compare(id, before.member) < 0)
        if (wins) holders.set(key, { member: id, generation, isLeaving })
      }
    }
    claim(owned, false)
    claim(leaving, true)
  }
  return holders
}

/** Each member begins with what it holds. Gives the keys of that. */
function takeUp(
  partitions: ReadonlyMap<string, readonly number[]>,
  hands: readonly Hand[],
  holders: ReadonlyMap<string, Holder>,
): Set<string> {
  const own = new Set<string>()
  const byId = new Map(hands.map((hand) => [hand.id, hand]))
  for (const [topic, list] of partitions) {
    for (const partition of list.toSorted((a, b) => a - b)) {
      const holder = holders.get(keyOf(topic, partition))
      if (holder === undefined || holder.isLeaving) continue
      put(byId.get(holder.member) as Hand, topic, partition)
      own.add(keyOf(topic, partition))
    }
  }
  return own
}

/** Each member lays down what is beyond its share. Gives what is nobody's then. */
function layDown(topic: string, partitions: readonly number[], hands: readonly Hand[]): number[] {
  const readers = hands.filter(({ topics }) => topics.has(topic))
  if (readers.length === 0) return []
  const share = Math.floor(partitions.length / readers.length)
  let larger = partitions.length % readers.length
  const kept = new Set<number>()
  // The larger shares go to those that have least of the other topics.
  const others = (hand: Hand) => hand.total - countOf(hand, topic)
  for (const hand of readers.toSorted((a, b) => others(a) - others(b) || compare(a.id, b.id))) {
    const held = hand.held.get(topic) ?? []
    const keeps = held.length > share && larger > 0 ? share + 1 : Math.min(held.length, share)
    if (keeps > share) larger -= 1
    hand.total -= held.length - keeps
    held.length = keeps
    for (const partition of held) kept.add(partition)
  }
  return partitions.filter((partition) => !kept.has(partition)).toSorted((a, b) => a - b)
}

function dealOut(topic: string, free: readonly number[], hands: readonly Hand[]): void {
  const readers = hands.filter(({ topics }) => topics.has(topic))
  for (const partition of free) {
    const next = readers.reduce((best, hand) => {
      const difference = countOf(hand, topic) - countOf(best, topic) || hand.total - best.total
      return difference < 0 ? hand : best
    })
    put(next, topic, partition)
  }
}

/**
 * Evens the totals: as long as one member has two more than another, there is a topic of which it
 * has one more, and that one can change hands. What was not held before goes first.
 */
function evenOut(
  topics: readonly string[],
  hands: readonly Hand[],
  own: ReadonlySet<string>,
): void {
  for (;;) {
    const move = findMove(topics, hands, own)
    if (move === undefined) return
    const { from, to, topic, partition } = move
    const held = from.held.get(topic) as number[]
    held.splice(held.indexOf(partition), 1)
    from.total -= 1
    put(to, topic, partition)
  }
}

type Move = { from: Hand; to: Hand; topic: string; partition: number }

function findMove(
  topics: readonly string[],
  hands: readonly Hand[],
  own: ReadonlySet<string>,
): Move | undefined {
  let second: Move | undefined
  for (const from of hands) {
    for (const to of hands) {
      if (from.total < to.total + 2) continue
      for (const topic of topics) {
        if (!to.topics.has(topic) || countOf(from, topic) <= countOf(to, topic)) continue
        const held = from.held.get(topic) as number[]
        const isNew = (partition: number) => !own.has(keyOf(topic, partition))
        const found = held.findLast(isNew)
        if (found !== undefined) return { from, to, topic, partition: found }
        second ??= { from, to, topic, partition: held.at(-1) as number }
      }
    }
  }
  return second
}

function put(hand: Hand, topic: string, partition: number): void {
  const held = hand.held.get(topic)
  if (held === undefined) hand.held.set(topic, [partition])
  else held.push(partition)
  hand.total += 1
}

const countOf = (hand: Hand, topic: string) => hand.held.get(topic)?.length ?? 0

/** By code unit: the same on every machine. */
const compare = (a: string, b: string) => (a < b ? -1 : a > b ? 1 : 0)

const keyOf = (topic: string, partition: number) => `${topic}/${partition}`
