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
