import assert from 'node:assert/strict'
import { test } from 'node:test'
import { testKafka, uniqueName, until, withTopics } from '../test/support.ts'
import {
  type AssignedPartition,
  type Consumer,
  type ConsumerOptions,
  createConsumer,
  createProducer,
  type Kafka,
} from './index.ts'

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

test('before a rejoin everything is paused and the old generation may still commit', async () => {
  const kafka = testKafka()
  const topic = uniqueName('revoke')
  await using _ = await withTopics(kafka, { topic, partitions: 2 })
  const results: unknown[] = []
  const first = joinGroup(kafka, topic, [topic], {
    onRebalancing: async () => {
      results.push(first.consumer.resume(topic, 0))
      results.push(await first.consumer.commit([{ topic, partition: 0, offset: 1 }]))
    },
  })
  await until('the first assignment', () => first.assignments.length === 1)
  first.consumer.seek(topic, 0, 0)
  const second = joinGroup(kafka, topic, [topic])
  await until('the second has its half', () => second.assignments.at(-1)?.assignment.length === 1)
  assert.deepEqual(results.slice(0, 2), [false, { ok: true }])
  await Promise.all([first.consumer.stop(), second.consumer.stop()])
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
