import assert from 'node:assert/strict'
import { test } from 'node:test'
import { testKafka, uniqueName, until, withTopics } from '../test/support.ts'
import { createAdmin, createProducer, createReader, type KafkaRecord } from './index.ts'

test('a reader reads to the end, says so, and goes on with what comes', async () => {
  const kafka = testKafka()
  const topics = [uniqueName('control'), uniqueName('plans')]
  await using _ = await withTopics(kafka, ...topics.map((topic) => ({ topic, partitions: 1 })))
  const producer = createProducer({ kafka })
  for (const topic of topics) {
    await producer.send(
      Array.from({ length: 500 }, (_unused, n) => ({ topic, key: `${n}`, value: `${n}` })),
    )
  }
  const records: KafkaRecord[] = []
  let atEnd = -1
  const reader = createReader({
    kafka,
    topics,
    from: 'earliest',
    maxBytes: 5000,
    onRecords: (_topic, _partition, more) => void records.push(...more),
    onCaughtUp: () => {
      atEnd = records.length
    },
  })
  await reader.caughtUp
  assert.equal(atEnd, 1000)
  await producer.send([{ topic: topics[0] ?? '', key: 'late', value: null }])
  await until('the late record', () => records.length === 1001)
  assert.equal(records[1000]?.value, null)
  assert.equal(reader.position(topics[0] ?? '', 0), 501)
  await reader.stop()
  await producer.disconnect()
})

test('answers without records confirm freshness as of their sending', async () => {
  const kafka = testKafka()
  const topic = uniqueName('fresh')
  await using _ = await withTopics(kafka, { topic, partitions: 1 })
  const fresh: { sentAtMs: number; reportedAtMs: number }[] = []
  const reader = createReader({
    kafka,
    topics: [topic],
    from: 'earliest',
    maxWaitMs: 100,
    onRecords: () => assert.fail('there are no records'),
    onFetched: (sentAtMs) => void fresh.push({ sentAtMs, reportedAtMs: performance.now() }),
  })
  await until('three answers', () => fresh.length >= 3)
  // The first does not wait: that there is nothing is what a start has to learn.
  for (const { sentAtMs, reportedAtMs } of fresh.slice(1)) assert.ok(reportedAtMs - sentAtMs >= 80)
  const sent = fresh.map(({ sentAtMs }) => sentAtMs)
  assert.deepEqual(
    sent,
    sent.toSorted((a, b) => a - b),
  )
  await reader.stop()
})

test('an answer that could not hold everything confirms nothing', async () => {
  const kafka = testKafka()
  const topic = uniqueName('partial')
  await using _ = await withTopics(kafka, { topic, partitions: 1 })
  const producer = createProducer({ kafka })
  for (let n = 0; n < 20; n++) {
    await producer.send([{ topic, key: `${n}`, value: 'x'.repeat(3000) }])
  }
  let count = 0
  const countsWhenFresh: number[] = []
  const reader = createReader({
    kafka,
    topics: [topic],
    from: 'earliest',
    maxBytes: 4000,
    onRecords: (_topic, _partition, more) => {
      count += more.length
    },
    onFetched: () => void countsWhenFresh.push(count),
  })
  await reader.caughtUp
  assert.equal(countsWhenFresh[0], 20)
  await reader.stop()
  await producer.disconnect()
})

test('a position that the log has lost starts again at the earliest', async () => {
  const kafka = testKafka()
  const topic = uniqueName('lost')
  await using made = await withTopics(kafka, { topic, partitions: 1 })
  const producer = createProducer({ kafka })
  for (let n = 0; n < 10; n++) await producer.send([{ topic, key: 'k', value: `${n}` }])
  await made.admin.deleteRecords(topic, { 0: 6 })
  const values: string[] = []
  let restarts = 0
  const reader = createReader({
    kafka,
    topics: [topic],
    from: { [`${topic}/0`]: 2 },
    onRestart: () => {
      restarts += 1
    },
    onRecords: (_topic, _partition, more) => void values.push(...more.map((r) => `${r.value}`)),
  })
  await reader.caughtUp
  assert.deepEqual(values, ['6', '7', '8', '9'])
  assert.equal(restarts, 1)
  await reader.stop()
  await producer.disconnect()
})

test('a reader waits for a topic that does not exist yet', async () => {
  const kafka = testKafka()
  const topic = uniqueName('later')
  const reader = createReader({ kafka, topics: [topic], from: 'latest', onRecords: () => {} })
  const admin = createAdmin({ kafka })
  await admin.createTopics([{ topic, partitions: 1 }])
  await reader.caughtUp
  await reader.stop()
  await admin.deleteTopics([topic])
  await admin.disconnect()
})

test('what the callback throws ends the reader and is told', async () => {
  const kafka = testKafka()
  const topic = uniqueName('throws')
  await using _ = await withTopics(kafka, { topic, partitions: 1 })
  const producer = createProducer({ kafka })
  await producer.send([{ topic, key: 'k', value: 'v' }])
  const told = Promise.withResolvers<Error>()
  const reader = createReader({
    kafka,
    topics: [topic],
    from: 'earliest',
    onRecords: () => {
      throw new Error('our own mistake')
    },
    onFatal: told.resolve,
  })
  assert.match((await told.promise).message, /our own mistake/)
  await assert.rejects(reader.caughtUp)
  await reader.stop()
  await producer.disconnect()
})
