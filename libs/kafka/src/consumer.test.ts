import assert from 'node:assert/strict'
import { test } from 'node:test'
import { testKafka, uniqueName, until, withTopics } from '../test/support.ts'
import type { ConsumerOptions } from './consumer.ts'
import {
  type AssignedPartition,
  type Consumer,
  createConsumer,
  createProducer,
  type Kafka,
} from './index.ts'
import { ConsumerGroup, InstrumentationEmitter, roundRobin } from './internals.ts'

type Member = {
  consumer: Consumer
  values: string[]
  assignments: { assignment: readonly AssignedPartition[]; generation: number }[]
  revoked: string[]
  outOfRange: string[]
}

function joinGroup(
  kafka: Kafka,
  groupId: string,
  topics: string[],
  overrides: Partial<ConsumerOptions> = {},
): Member {
  const member: Omit<Member, 'consumer'> = {
    values: [],
    assignments: [],
    revoked: [],
    outOfRange: [],
  }
  const consumer = createConsumer({
    kafka,
    groupId,
    topics,
    sessionTimeoutMs: 6000,
    heartbeatMs: 100,
    maxWaitMs: 200,
    onAssigned: (assignment, generation) => member.assignments.push({ assignment, generation }),
    onRevoked: (partitions) =>
      member.revoked.push(...partitions.map(({ topic, partition }) => `${topic}/${partition}`)),
    onRecords: (_topic, _partition, records) =>
      member.values.push(...records.map(({ value }) => String(value))),
    onOffsetOutOfRange: (topic, partition) => member.outOfRange.push(`${topic}/${partition}`),
    onFatal: (error) => assert.fail(error),
    ...overrides,
  })
  return { ...member, consumer }
}

async function produce(kafka: Kafka, topic: string, partition: number, values: string[]) {
  const producer = createProducer({ kafka })
  await producer.send(values.map((value) => ({ topic, partition, key: 'k', value })))
  await producer.disconnect()
}

test('nothing is read before the caller seeks and resumes', async () => {
  const kafka = testKafka()
  const topic = uniqueName('paused')
  await using _ = await withTopics(kafka, { topic, partitions: 2 })
  await produce(kafka, topic, 0, ['a', 'b', 'c'])
  await produce(kafka, topic, 1, ['d'])
  const { consumer, values, assignments } = joinGroup(kafka, topic, [topic])
  await until('the assignment', () => assignments.length === 1)
  assert.equal(assignments[0]?.assignment.length, 2)
  assert.equal(consumer.resume(topic, 0), false, 'a partition without a position is not resumed')
  consumer.seek(topic, 0, 1)
  assert.equal(consumer.resume(topic, 0), true)
  await until('what was sought', () => values.length === 2)
  assert.deepEqual(values, ['b', 'c'])
  consumer.seek(topic, 1, 0)
  consumer.resume(topic, 1)
  await until('the other partition', () => values.includes('d'))
  await consumer.stop()
})

test('a paused partition stands still, others go on, and it goes on where it was', async () => {
  const kafka = testKafka()
  const topic = uniqueName('resume')
  await using _ = await withTopics(kafka, { topic, partitions: 2 })
  const { consumer, values, assignments } = joinGroup(kafka, topic, [topic])
  await until('the assignment', () => assignments.length === 1)
  for (const partition of [0, 1]) {
    consumer.seek(topic, partition, 0)
    consumer.resume(topic, partition)
  }
  consumer.pause(topic, 0)
  await produce(kafka, topic, 0, ['held'])
  await produce(kafka, topic, 1, ['free'])
  await until('the free partition', () => values.includes('free'))
  assert.deepEqual(values, ['free'])
  consumer.resume(topic, 0)
  await until('the held partition', () => values.includes('held'))
  await consumer.stop()
})

test('commits carry metadata, and what was never committed is told apart from offset 0', async () => {
  const kafka = testKafka()
  const topic = uniqueName('commit')
  await using made = await withTopics(kafka, { topic, partitions: 2 })
  const { consumer, assignments } = joinGroup(kafka, topic, [topic])
  await until('the assignment', () => assignments.length === 1)
  const both = [0, 1].map((partition) => ({ topic, partition }))
  const metadata = 'x'.repeat(4096)
  assert.deepEqual(await consumer.commit([{ topic, partition: 0, offset: 0, metadata }]), {
    ok: true,
  })
  const committed = await consumer.fetchCommitted(both)
  assert.deepEqual(
    committed.toSorted((a, b) => a.partition - b.partition),
    [
      { topic, partition: 0, offset: 0, metadata },
      { topic, partition: 1, offset: null, metadata: null },
    ],
  )
  const tooLarge = await consumer.commit([
    { topic, partition: 0, offset: 0, metadata: `${metadata}y` },
  ])
  assert.equal(tooLarge.ok === false && tooLarge.reason, 'metadata_too_large')
  const stale = await consumer.commit([{ topic, partition: 0, offset: 9 }], 0)
  assert.equal(stale.ok === false && stale.reason, 'fenced')
  await assert.rejects(made.admin.commitAsAdmin(topic, [{ ...both[0], offset: 5 } as never]), {
    code: 'not_empty',
  })
  await consumer.stop()
  const stopped = await consumer.commit([{ topic, partition: 0, offset: 9 }])
  assert.equal(stopped.ok === false && stopped.reason, 'stopped')
})

test('a new member takes over partitions, and one that leaves gives them back at once', async () => {
  const kafka = testKafka()
  const topic = uniqueName('rebalance')
  await using _ = await withTopics(kafka, { topic, partitions: 4 })
  const first = joinGroup(kafka, topic, [topic])
  await until('the first assignment', () => first.assignments.length === 1)
  for (const { partition } of first.assignments[0]?.assignment ?? []) {
    first.consumer.seek(topic, partition, 0)
    first.consumer.resume(topic, partition)
  }
  const second = joinGroup(kafka, topic, [topic])
  await until('two halves', () => {
    const halves = [first, second].map(({ assignments }) => assignments.at(-1)?.assignment.length)
    return halves[0] === 2 && halves[1] === 2
  })
  assert.equal(first.revoked.length, 2)
  const kept = first.assignments.at(-1)
  assert.ok(kept?.assignment.every(({ isKept }) => isKept))
  assert.ok(second.assignments.at(-1)?.assignment.every(({ isKept }) => !isKept))
  for (const { partition } of kept?.assignment ?? []) {
    assert.equal(first.consumer.position(topic, partition), 0)
  }
  const leftAtMs = performance.now()
  await second.consumer.stop()
  await until('all four again', () => first.assignments.at(-1)?.assignment.length === 4)
  assert.ok(performance.now() - leftAtMs < 3000)
  assert.equal(first.assignments.at(-1)?.assignment.filter(({ isKept }) => isKept).length, 2)
  await first.consumer.stop()
})

test('a partition that moves is given to nobody before its holder has handed it over', async () => {
  const kafka = testKafka()
  const topic = uniqueName('handover')
  await using _ = await withTopics(kafka, { topic, partitions: 2 })
  const going: string[] = []
  const mayGo = Promise.withResolvers<void>()
  const first = joinGroup(kafka, topic, [topic], {
    onHandOver: async (partitions) => {
      going.push(...partitions.map(({ partition }) => String(partition)))
      await mayGo.promise
      const { partition } = partitions[0] as { partition: number }
      assert.equal(first.consumer.resume(topic, partition), false)
      const committed = await first.consumer.commit([{ topic, partition, offset: 1 }])
      assert.deepEqual(committed, { ok: true })
    },
  })
  await until('the first assignment', () => first.assignments.length === 1)
  for (const partition of [0, 1]) {
    first.consumer.seek(topic, partition, 0)
    first.consumer.resume(topic, partition)
  }
  const second = joinGroup(kafka, topic, [topic])
  await until('one is to go', () => going.length === 1)
  await until('the second is a member', () => second.assignments.length > 0)
  const [moving] = going
  const staying = moving === '0' ? 1 : 0
  first.consumer.resume(topic, staying)
  await produce(kafka, topic, staying, ['goes on'])
  await produce(kafka, topic, Number(moving), ['waits'])
  await until('the other partition', () => first.values.includes('goes on'))
  assert.equal(second.assignments.at(-1)?.assignment.length, 0)
  assert.deepEqual([first.values, first.revoked], [['goes on'], []])
  mayGo.resolve()
  await until('it has moved', () => second.assignments.at(-1)?.assignment.length === 1)
  const at = { topic, partition: Number(moving) }
  assert.deepEqual(second.assignments.at(-1)?.assignment, [{ ...at, isKept: false }])
  assert.deepEqual(first.revoked, [`${topic}/${moving}`])
  // Committed under the generation of the hand-over, and there when the next owner asks.
  assert.equal((await second.consumer.fetchCommitted([at]))[0]?.offset, 1)
  await until('the first knows', () => first.assignments.at(-1)?.assignment.length === 1)
  assert.equal(first.assignments.at(-1)?.assignment[0]?.isKept, true)
  await Promise.all([first.consumer.stop(), second.consumer.stop()])
})

test('a hand-over that takes too long ends without its holder', async () => {
  const kafka = testKafka()
  const topic = uniqueName('handover-cap')
  await using _ = await withTopics(kafka, { topic, partitions: 2 })
  const first = joinGroup(kafka, topic, [topic], {
    handOverMs: 300,
    onHandOver: () => new Promise(() => {}),
  })
  await until('the first assignment', () => first.assignments.length === 1)
  const second = joinGroup(kafka, topic, [topic])
  await until('its half', () => second.assignments.at(-1)?.assignment.length === 1)
  assert.equal(first.revoked.length, 1)
  await Promise.all([first.consumer.stop(), second.consumer.stop()])
})

test('while others come and go a member reads on, and keeps what stays with it', async () => {
  const kafka = testKafka()
  const topic = uniqueName('stays')
  await using _ = await withTopics(kafka, { topic, partitions: 6 })
  const first = joinGroup(kafka, topic, [topic])
  await until('all six', () => first.assignments.at(-1)?.assignment.length === 6)
  const others = [joinGroup(kafka, topic, [topic]), joinGroup(kafka, topic, [topic])]
  const members = [first, ...others]
  const counts = () =>
    members.map(({ assignments }) => assignments.at(-1)?.assignment.length).join()
  await until('two each', () => counts() === '2,2,2')
  const own = () => first.assignments.at(-1)?.assignment.map(({ partition }) => partition) ?? []
  const before = own()
  const lost = first.revoked.length
  assert.equal(lost, 4)
  const seen = first.assignments.length
  await others[0]?.consumer.stop()
  await until('three each', () => own().length === 3)
  assert.deepEqual(
    own().filter((partition) => before.includes(partition)),
    before,
  )
  assert.equal(first.revoked.length, lost)
  for (const { assignment } of first.assignments.slice(seen)) {
    for (const { partition, isKept } of assignment) {
      if (before.includes(partition)) assert.equal(isKept, true)
    }
  }
  await Promise.all([first.consumer.stop(), others[1]?.consumer.stop()])
})

test('a member of a version that divides in turn takes part, and then by its rules', async () => {
  const kafka = testKafka()
  const topic = uniqueName('mixed')
  await using _ = await withTopics(kafka, { topic, partitions: 4 })
  const first = joinGroup(kafka, topic, [topic])
  await until('all four', () => first.assignments.at(-1)?.assignment.length === 4)
  const cluster = kafka.createCluster({ metadataMaxAgeMs: 60_000 })
  await cluster.connect()
  await cluster.addMultipleTargetTopics([topic])
  const old = new ConsumerGroup({
    logger: kafka.clientLog,
    retry: { retries: 5 },
    cluster,
    groupId: topic,
    topics: [topic],
    topicConfigurations: { [topic]: { fromBeginning: true } },
    instrumentationEmitter: new InstrumentationEmitter(),
    assigners: [roundRobin({ cluster, groupId: topic, logger: kafka.clientLog })],
    sessionTimeout: 6000,
    rebalanceTimeout: 10_000,
    autoCommit: false,
    isolationLevel: 0,
    metadataMaxAge: 60_000,
  })
  await old.joinAndSync()
  await until('two are left', () => first.assignments.at(-1)?.assignment.length === 2)
  assert.equal(old.assigned()[0]?.partitions.length, 2)
  assert.equal(first.revoked.length, 2)
  await old.leave()
  await until('all four again', () => first.assignments.at(-1)?.assignment.length === 4)
  await first.consumer.stop()
  await cluster.disconnect()
})

test('a position the log does not have stops the partition and commits nothing', async () => {
  const kafka = testKafka()
  const topic = uniqueName('range')
  await using made = await withTopics(kafka, { topic, partitions: 2 })
  await produce(kafka, topic, 0, ['a', 'b', 'c', 'd'])
  await produce(kafka, topic, 1, ['other'])
  await made.admin.commitAsAdmin(topic, [{ topic, partition: 0, offset: 1, metadata: 'm' }])
  await made.admin.deleteRecords(topic, { 0: 3 })
  const member = joinGroup(kafka, topic, [topic])
  const { consumer, values, outOfRange } = member
  await until('the assignment', () => member.assignments.length === 1)
  consumer.seek(topic, 0, 1)
  consumer.seek(topic, 1, 0)
  consumer.resume(topic, 0)
  consumer.resume(topic, 1)
  await until('the report', () => outOfRange.length === 1)
  await until('the other partition', () => values.includes('other'))
  assert.deepEqual(outOfRange, [`${topic}/0`])
  assert.deepEqual(values, ['other'])
  assert.deepEqual(await consumer.fetchCommitted([{ topic, partition: 0 }]), [
    { topic, partition: 0, offset: 1, metadata: 'm' },
  ])
  // The caller decides: from where the log now begins.
  consumer.seek(topic, 0, 3)
  consumer.resume(topic, 0)
  await until('the rest', () => values.includes('d'))
  assert.deepEqual(values, ['other', 'd'])
  await consumer.stop()
})

test('heartbeats go on while nothing is read, and their age is that of the last confirmed one', async () => {
  const kafka = testKafka()
  const topic = uniqueName('beat')
  await using _ = await withTopics(kafka, { topic, partitions: 1 })
  const { consumer, assignments } = joinGroup(kafka, topic, [topic], {
    sessionTimeoutMs: 1500,
  })
  assert.equal(consumer.lastHeartbeatAgeMs(), Number.POSITIVE_INFINITY)
  await until('the assignment', () => assignments.length === 1)
  const joinedAtMs = performance.now()
  await until('two sessions', () => performance.now() - joinedAtMs > 3000)
  assert.ok(consumer.lastHeartbeatAgeMs() < 1000)
  assert.equal(assignments.length, 1)
  assert.equal(consumer.generation(), assignments[0]?.generation)
  await consumer.stop()
})

test('a topic that grows is divided anew', async () => {
  const kafka = testKafka()
  const topic = uniqueName('grow')
  await using made = await withTopics(kafka, { topic, partitions: 1 })
  const { consumer, assignments } = joinGroup(kafka, topic, [topic], { metadataMaxAgeMs: 300 })
  await until('the assignment', () => assignments.length === 1)
  await made.admin.createPartitions(topic, 3)
  await until('three partitions', () => assignments.at(-1)?.assignment.length === 3)
  await consumer.stop()
})

test('what the callback throws ends the consumer and is told', async () => {
  const kafka = testKafka()
  const topic = uniqueName('throws')
  await using _ = await withTopics(kafka, { topic, partitions: 1 })
  const told = Promise.withResolvers<Error>()
  const { consumer } = joinGroup(kafka, topic, [topic], {
    onAssigned: () => {
      throw new Error('our own mistake')
    },
    onFatal: told.resolve,
  })
  assert.match((await told.promise).message, /our own mistake/)
  await consumer.stop()
})
