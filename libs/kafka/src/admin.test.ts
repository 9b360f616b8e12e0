import assert from 'node:assert/strict'
import { test } from 'node:test'
import { testKafka, uniqueName, withTopics } from '../test/support.ts'
import { createProducer } from './index.ts'

test('creating a topic that exists changes nothing', async () => {
  const kafka = testKafka()
  const topic = uniqueName('admin')
  await using made = await withTopics(kafka, { topic, partitions: 2 })
  const other = uniqueName('admin')
  await made.admin.createTopics([
    { topic, partitions: 5 },
    { topic: other, partitions: 1, config: { 'cleanup.policy': 'compact' } },
  ])
  const counts = await made.admin.partitionCounts([topic, other, 'weir-test.missing'])
  assert.deepEqual(Object.fromEntries(counts), { [topic]: 2, [other]: 1 })
  assert.equal(await made.admin.topicExists(other), true)
  await made.admin.deleteTopics([other])
  assert.equal(await made.admin.topicExists(other), false)
})

test("topics that are created at the same time do not get into each other's way", async () => {
  const kafka = testKafka()
  const names = Array.from({ length: 8 }, () => uniqueName('crowd'))
  await using made = await withTopics(kafka, { topic: uniqueName('crowd'), partitions: 1 })
  await Promise.all(names.map((topic) => made.admin.createTopics([{ topic, partitions: 2 }])))
  assert.equal((await made.admin.partitionCounts(names)).size, 8)
  await made.admin.deleteTopics(names)
})

test('begin, end and time offsets of all partitions come in one call', async () => {
  const kafka = testKafka()
  const topic = uniqueName('offsets')
  // The times are the test's: a broker may stamp records by itself otherwise.
  const config = { 'message.timestamp.type': 'CreateTime' }
  await using made = await withTopics(kafka, { topic, partitions: 2, config })
  const producer = createProducer({ kafka })
  for (const timestamp of [1000, 2000, 3000]) {
    await producer.send([{ topic, partition: 1, key: 'k', value: 'v', timestamp }])
  }
  await producer.disconnect()
  await made.admin.deleteRecords(topic, { 1: 1 })
  const offsets = async (list: Promise<{ partition: number; offset: number }[]>) =>
    Object.fromEntries((await list).map(({ partition, offset }) => [partition, offset]))
  assert.deepEqual(await offsets(made.admin.fetchEndOffsets([topic])), { 0: 0, 1: 3 })
  assert.deepEqual(await offsets(made.admin.fetchBeginOffsets([topic])), { 0: 0, 1: 1 })
  assert.deepEqual(await offsets(made.admin.fetchOffsetsAt([topic], 2500)), { 0: -1, 1: 2 })
})

test('offsets of a group without members can be written before it is ever joined', async () => {
  const kafka = testKafka()
  const topic = uniqueName('empty')
  await using made = await withTopics(kafka, { topic, partitions: 1 })
  const partitions = [{ topic, partition: 0 }]
  assert.deepEqual(await made.admin.fetchCommitted(topic, partitions), [
    { topic, partition: 0, offset: null, metadata: null },
  ])
  await made.admin.commitAsAdmin(topic, [{ topic, partition: 0, offset: 0, metadata: 'new' }])
  assert.deepEqual(await made.admin.fetchCommitted(topic, partitions), [
    { topic, partition: 0, offset: 0, metadata: 'new' },
  ])
  await made.admin.deleteGroup(topic)
  assert.equal((await made.admin.fetchCommitted(topic, partitions))[0]?.offset, null)
})

test('an unknown topic is told by its own code', async () => {
  const kafka = testKafka()
  await using made = await withTopics(kafka, { topic: uniqueName('crowd'), partitions: 1 })
  await assert.rejects(made.admin.fetchEndOffsets([uniqueName('missing')]), {
    code: 'unknown_topic',
  })
})

test('offsets of many groups come in one call, as each has committed them', async () => {
  const kafka = testKafka()
  const first = uniqueName('many')
  const second = uniqueName('many')
  const topics = [first, second].map((topic) => ({ topic, partitions: 3 }))
  await using made = await withTopics(kafka, ...topics)
  const { admin } = made
  const groups = Array.from({ length: 20 }, (_, index) => ({
    groupId: uniqueName(`group-${index}`),
    partitions: [first, second].flatMap((topic) =>
      [0, 1, 2].map((partition) => ({ topic, partition })),
    ),
  }))
  const metadata = `ä${'x'.repeat(3_000)}`
  for (const [index, { groupId }] of groups.entries()) {
    if (index % 2 === 1) continue
    await admin.commitAsAdmin(groupId, [
      { topic: second, partition: 1, offset: 1_000_000 * index, metadata },
    ])
  }
  const found = await admin.fetchAllCommitted(groups)
  assert.equal(found.size, groups.length)
  const order = (list: readonly { topic: string; partition: number }[]) =>
    list.toSorted((a, b) => a.topic.localeCompare(b.topic) || a.partition - b.partition)
  for (const { groupId, partitions } of groups) {
    const alone = await admin.fetchCommitted(groupId, partitions)
    assert.deepEqual(order(found.get(groupId) ?? []), order(alone))
  }
  const [even] = groups
  const one = found.get(even?.groupId ?? '')?.find(({ offset }) => offset !== null)
  assert.deepEqual(one, { topic: second, partition: 1, offset: 0, metadata })
  // Half of them have never been there: to delete those is no error.
  for (const { groupId } of groups) await admin.deleteGroup(groupId)
})

test('the time of a record is what the log has for its offset', async () => {
  const kafka = testKafka()
  const topic = uniqueName('times')
  const config = { 'message.timestamp.type': 'CreateTime' }
  await using made = await withTopics(kafka, { topic, partitions: 2, config })
  const producer = createProducer({ kafka })
  for (const timestamp of [1000, 2000, 3000]) {
    await producer.send([{ topic, partition: 1, key: 'k', value: 'v'.repeat(9_999), timestamp }])
  }
  await producer.disconnect()
  const asked = [1, 2, 3].map((offset) => ({ topic, partition: 1, offset }))
  const times = await made.admin.fetchRecordTimes([...asked, { topic, partition: 0, offset: 0 }])
  assert.deepEqual(
    times.map(({ timestamp }) => timestamp),
    [2000, 3000, null, null],
  )
})
