import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { TopicPartition } from '../record.ts'
import { type Claims, decodeClaims, encodeClaims, NO_CLAIMS } from './claims.ts'
import { type Division, divide, type GroupMember } from './divide.ts'

const keyOf = ({ topic, partition }: TopicPartition) => `${topic}/${partition}`

/** A group over its generations, as its members would play it. */
type Group = {
  readonly partitions: Map<string, number[]>
  readonly members: Map<string, Claims>
  generation: number
}

const membersOf = (group: Group): GroupMember[] =>
  [...group.members].map(([id, claims]) => ({ id, topics: [...group.partitions.keys()], claims }))

/** One generation: all join with what they hold, and hand over at once what they are not given. */
function join(group: Group): Division {
  const division = divide(group.partitions, membersOf(group))
  group.generation += 1
  for (const [id, owned] of division) {
    group.members.set(id, { generation: group.generation, owned, leaving: [] })
  }
  return division
}

/** What is handed over may even out the totals anew: over several topics that takes a third one. */
const GENERATIONS_MAX = 3

/** Joins until all is handed over. */
function settle(group: Group): Division {
  const all = [...group.partitions.values()].flat().length
  let division = join(group)
  for (let joined = 1; joined < GENERATIONS_MAX && ownerOf(division).size < all; joined += 1)
    division = join(group)
  return division
}

function groupOf(counts: readonly number[], size: number): Group {
  const partitions = new Map(
    counts.map((count, at) => [`t${at}`, Array.from({ length: count }, (_, p) => p)]),
  )
  const members = new Map(Array.from({ length: size }, (_, at) => [`m${at}`, NO_CLAIMS]))
  return { partitions, members, generation: 0 }
}

const ownerOf = (division: Division): Map<string, string> =>
  new Map([...division].flatMap(([id, held]) => held.map((at) => [keyOf(at), id] as const)))

const spread = (numbers: readonly number[]) => Math.max(...numbers) - Math.min(...numbers)

function assertEven(group: Group, division: Division): void {
  const all = [...group.partitions.values()].reduce((sum, list) => sum + list.length, 0)
  assert.equal(ownerOf(division).size, all)
  assert.equal([...division.values()].flat().length, all, 'nothing is given twice')
  assert.ok(spread([...division.values()].map((held) => held.length)) <= 1, 'in all')
  for (const topic of group.partitions.keys()) {
    const counts = [...division.values()].map(
      (held) => held.filter((one) => one.topic === topic).length,
    )
    assert.ok(spread(counts) <= 1, topic)
  }
}

const topicCounts = fc.array(fc.integer({ min: 1, max: 13 }), { minLength: 1, maxLength: 4 })
/** Lanes: what a stage's group reads. */
const laneCounts = fc.integer({ min: 1, max: 24 }).chain((n) => fc.constantFrom([n], [n, n]))
const size = fc.integer({ min: 1, max: 7 })
const churn = fc.array(
  fc.oneof(fc.record({ comes: fc.nat(20) }), fc.record({ goes: fc.nat(20) })),
  { maxLength: 12 },
)

function change(group: Group, step: { comes?: number; goes?: number }): void {
  const ids = [...group.members.keys()]
  if (step.comes !== undefined) {
    const id = `n${step.comes}`
    if (!ids.includes(id)) group.members.set(id, NO_CLAIMS)
  } else if (ids.length > 1) group.members.delete(ids[(step.goes ?? 0) % ids.length] as string)
}

test('whoever comes and goes, all is given once, evenly in each topic and in all', () => {
  fc.assert(
    fc.property(topicCounts, size, churn, (counts, members, steps) => {
      const group = groupOf(counts, members)
      assertEven(group, settle(group))
      for (const step of steps) {
        change(group, step)
        assertEven(group, settle(group))
      }
    }),
  )
})

test('when a member leaves, what the others hold stays where it is', () => {
  fc.assert(
    fc.property(laneCounts, fc.integer({ min: 2, max: 7 }), churn, (counts, members, steps) => {
      const group = groupOf(counts, members)
      let before = ownerOf(settle(group))
      for (const step of [...steps, { goes: 1 }]) {
        const leaver = 'goes' in step ? [...group.members.keys()] : []
        change(group, step)
        const gone = leaver.filter((id) => !group.members.has(id))
        const after = ownerOf(join(group))
        if (gone.length > 0) {
          for (const [key, id] of before) {
            if (!gone.includes(id)) assert.equal(after.get(key), id, `${key} moved`)
          }
        }
        before = ownerOf(settle(group))
      }
    }),
  )
})

test('when a member comes, what moves moves to it alone, and no more than its share', () => {
  fc.assert(
    fc.property(laneCounts, size, churn, (counts, members, steps) => {
      const group = groupOf(counts, members)
      settle(group)
      for (const step of steps) {
        change(group, step)
        settle(group)
      }
      const before = ownerOf(join(group))
      group.members.set('new', NO_CLAIMS)
      const after = ownerOf(settle(group))
      for (const [key, id] of after) if (id !== before.get(key)) assert.equal(id, 'new', key)
    }),
  )
})

test('what one member still holds is given to no other before it is handed over', () => {
  fc.assert(
    fc.property(topicCounts, size, churn, (counts, members, steps) => {
      const group = groupOf(counts, members)
      let before = ownerOf(settle(group))
      for (const step of steps) {
        change(group, step)
        const division = join(group)
        for (const [key, id] of ownerOf(division)) {
          const holder = before.get(key)
          if (holder !== undefined && group.members.has(holder)) assert.equal(id, holder, key)
        }
        before = ownerOf(division)
      }
    }),
  )
})

test('what is being handed over is given to nobody, its holder included', () => {
  const group = groupOf([4], 2)
  settle(group)
  const { owned } = group.members.get('m0') as Claims
  const [kept, going] = owned as [TopicPartition, TopicPartition]
  group.members.set('m0', { generation: group.generation, owned: [kept], leaving: [going] })
  const division = divide(group.partitions, membersOf(group))
  assert.ok(!ownerOf(division).has(keyOf(going)))
  assert.equal(ownerOf(division).get(keyOf(kept)), 'm0')
})

test('every member would divide alike, in whatever order it sees the others', () => {
  const claims = fc.record({
    generation: fc.integer({ min: -1, max: 4 }),
    owned: fc.array(fc.record({ topic: fc.constantFrom('a', 'b', 'x'), partition: fc.nat(9) })),
    leaving: fc.array(fc.record({ topic: fc.constantFrom('a', 'b'), partition: fc.nat(9) })),
  })
  const topics = fc.subarray(['a', 'b'], { minLength: 1 })
  const members = fc.uniqueArray(
    fc.record({ id: fc.string({ minLength: 1, maxLength: 3 }), topics, claims }),
    { selector: ({ id }) => id, minLength: 1, maxLength: 6 },
  )
  const shuffled = members.chain((list) =>
    fc.tuple(fc.constant(list), fc.shuffledSubarray(list, { minLength: list.length })),
  )
  fc.assert(
    fc.property(shuffled, fc.nat(9), fc.nat(9), ([list, other], a, b) => {
      const partitions = new Map([
        ['a', Array.from({ length: a }, (_, p) => p)],
        ['b', Array.from({ length: b }, (_, p) => p)],
      ])
      const turned = new Map([...partitions].reverse().map(([t, ps]) => [t, ps.toReversed()]))
      const asSets = (division: Division) =>
        [...division].map(([id, held]) => [id, held.map(keyOf).sort()]).sort()
      const division = divide(partitions, list)
      assert.deepEqual(asSets(divide(turned, other)), asSets(division))
      // Whatever is claimed: nothing twice, nothing that is not there, nobody gets what it does not read.
      const given = [...division.values()].flat().map(keyOf)
      assert.equal(new Set(given).size, given.length)
      for (const [id, held] of division) {
        const reads = list.find((member) => member.id === id)?.topics ?? []
        for (const { topic, partition } of held) {
          assert.ok(reads.includes(topic) && partition < (topic === 'a' ? a : b))
        }
      }
    }),
  )
})

test('of two that claim the same, the one that joined later has it', () => {
  const at = { topic: 't0', partition: 0 }
  const group = groupOf([1], 0)
  group.members.set('a', { generation: 3, owned: [at], leaving: [] })
  group.members.set('b', { generation: 4, owned: [at], leaving: [] })
  assert.equal(ownerOf(divide(group.partitions, membersOf(group))).get(keyOf(at)), 'b')
})

test('members that say nothing share with those that do, and end up with as much', () => {
  const group = groupOf([6, 6], 2)
  const before = ownerOf(settle(group))
  group.members.set('old', NO_CLAIMS)
  const division = settle(group)
  assertEven(group, division)
  const moved = [...ownerOf(division)].filter(([key, id]) => before.get(key) !== id)
  assert.equal(moved.length, 4)
})

test('claims are read as they were written, and what is no claim of ours claims nothing', () => {
  const claims: Claims = {
    generation: 7,
    owned: [
      { topic: 'a', partition: 0 },
      { topic: 'a', partition: 3 },
      { topic: 'b', partition: 1 },
    ],
    leaving: [{ topic: 'b', partition: 2 }],
  }
  assert.deepEqual(decodeClaims(encodeClaims(claims)), claims)
  assert.deepEqual(decodeClaims(null), NO_CLAIMS)
  for (const text of ['', 'x', '{}', 'null', '{"v":2,"g":1,"o":{},"l":{}}', '{"v":1,"g":1}']) {
    assert.deepEqual(decodeClaims(Buffer.from(text)), NO_CLAIMS, text)
  }
})
