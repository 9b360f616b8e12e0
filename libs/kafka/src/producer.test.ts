import assert from 'node:assert/strict'
import { test } from 'node:test'
import { testKafka, uniqueName, until, withTopics } from '../test/support.ts'
import { createProducer, createReader, KafkaError, type KafkaRecord } from './index.ts'

async function readAll(topic: string, count: number): Promise<KafkaRecord[]> {
  const records: KafkaRecord[] = []
  const reader = createReader({
    kafka: testKafka(),
    topics: [topic],
    from: 'earliest',
    onRecords: (_topic, _partition, more) => void records.push(...more),
  })
  await until(`${count} records`, () => records.length >= count)
  await reader.stop()
  return records
}

test('every record is told its offset and keeps its order, however sends are batched', async () => {
  const kafka = testKafka()
  const topic = uniqueName('order')
  await using _ = await withTopics(kafka, { topic, partitions: 3 })
  const producer = createProducer({ kafka })
  const sends = Array.from({ length: 300 }, (_unused, index) =>
    producer.send([
      { topic, partition: index % 3, key: `k${index}`, value: `a${index}`, headers: { n: 'ü' } },
      { topic, partition: 0, key: null, value: Buffer.from(`b${index}`) },
    ]),
  )
  const offsets = await Promise.all(sends)
  await producer.disconnect()
  const records = await readAll(topic, 600)
  const at = new Map(records.map((one) => [`${one.partition}/${one.offset}`, String(one.value)]))
  for (const [index, [first, second]] of offsets.entries()) {
    assert.equal(at.get(`${index % 3}/${first}`), `a${index}`)
    assert.equal(at.get(`0/${second}`), `b${index}`)
  }
  const ofZero = records.filter(({ partition }) => partition === 0).map(({ value }) => `${value}`)
  const expected = Array.from({ length: 300 }, (_unused, index) =>
    index % 3 === 0 ? [`a${index}`, `b${index}`] : [`b${index}`],
  ).flat()
  assert.deepEqual(ofZero, expected)
})

test('a record that is too large fails its own send only', async () => {
  const kafka = testKafka()
  const topic = uniqueName('large')
  await using _ = await withTopics(kafka, {
    topic,
    partitions: 1,
    config: { 'max.message.bytes': '20000' },
  })
  const producer = createProducer({ kafka })
  const good = Array.from({ length: 20 }, (_unused, index) =>
    producer.send([{ topic, key: 'k', value: `${index}` }]),
  )
  const bad = producer.send([{ topic, key: 'k', value: 'x'.repeat(50_000) }])
  const after = producer.send([{ topic, key: 'k', value: 'after' }])
  await assert.rejects(bad, (error) => error instanceof KafkaError && error.code === 'too_large')
  await Promise.all([...good, after])
  await producer.disconnect()
  const records = await readAll(topic, 21)
  assert.deepEqual(
    records.map(({ value }) => String(value)),
    [...Array.from({ length: 20 }, (_unused, index) => `${index}`), 'after'],
  )
})

test('a record that the topic cannot take is refused alone: no key on a compacted topic', async () => {
  const kafka = testKafka()
  const topic = uniqueName('compact')
  await using _ = await withTopics(kafka, {
    topic,
    partitions: 1,
    config: { 'cleanup.policy': 'compact' },
  })
  const producer = createProducer({ kafka })
  const good = producer.send([{ topic, key: 'k', value: 'v' }])
  const bad = producer.send([{ topic, partition: 0, key: null, value: 'v' }])
  await assert.rejects(bad, (error) => error instanceof KafkaError && error.code === 'rejected')
  assert.deepEqual(await good, [0])
  await producer.disconnect()
})

test('a batch larger than a request may be goes in several, and sends wait for room', async () => {
  const kafka = testKafka()
  const topic = uniqueName('room')
  await using _ = await withTopics(kafka, { topic, partitions: 1 })
  const producer = createProducer({ kafka, queuedMaxBytes: 500_000, requestMaxBytes: 300_000 })
  let highest = 0
  const sends = Array.from({ length: 40 }, async (_unused, index) => {
    const done = producer.send([{ topic, key: 'k', value: Buffer.alloc(100_000, index) }])
    highest = Math.max(highest, producer.queuedBytes())
    return done
  })
  await until('everything is sent', () => {
    highest = Math.max(highest, producer.queuedBytes())
    return producer.queuedBytes() === 0
  })
  const offsets = (await Promise.all(sends)).flat()
  assert.deepEqual(
    offsets,
    Array.from({ length: 40 }, (_unused, index) => index),
  )
  assert.ok(highest <= 700_000, `queued up to ${highest} bytes`)
  await producer.disconnect()
})

test('a topic that does not exist is an error of its own and holds no other topic up', async () => {
  const kafka = testKafka()
  const topic = uniqueName('exists')
  const missing = uniqueName('missing')
  await using _ = await withTopics(kafka, { topic, partitions: 1 })
  const producer = createProducer({ kafka, deadlineMs: 1500 })
  const lost = producer.send([{ topic: missing, key: 'k', value: 'v' }])
  lost.catch(() => {})
  assert.deepEqual(await producer.send([{ topic, key: 'k', value: 'v' }]), [0])
  await assert.rejects(lost, KafkaError)
  await producer.disconnect()
})

test('a topic that is deleted under the producer holds no other topic up', async () => {
  const kafka = testKafka()
  const topic = uniqueName('stays')
  const deleted = uniqueName('deleted')
  await using made = await withTopics(kafka, { topic, partitions: 1 })
  await made.admin.createTopics([{ topic: deleted, partitions: 1 }])
  const producer = createProducer({ kafka, deadlineMs: 3000 })
  await producer.send([
    { topic, key: 'k', value: 'v' },
    { topic: deleted, key: 'k', value: 'v' },
  ])
  await made.admin.deleteTopics([deleted])
  const lost = producer.send([{ topic: deleted, key: 'k', value: 'v' }])
  lost.catch(() => {})
  await producer.send([{ topic, key: 'k', value: 'v' }])
  await assert.rejects(lost, KafkaError)
  await producer.send([{ topic, key: 'k', value: 'v' }])
  await producer.disconnect()
})

test('without a broker a send ends at its deadline, and disconnecting refuses what is left', async () => {
  const { connectKafka } = await import('./index.ts')
  const kafka = connectKafka({ brokers: ['127.0.0.1:1'], clientId: 'nobody' })
  const producer = createProducer({ kafka, deadlineMs: 600 })
  const startedAtMs = performance.now()
  await assert.rejects(
    producer.send([{ topic: 't', key: 'k', value: 'v' }]),
    (error) => error instanceof KafkaError && error.code === 'deadline',
  )
  assert.ok(performance.now() - startedAtMs < 3000)
  const left = producer.send([{ topic: 't', key: 'k', value: 'v' }])
  left.catch(() => {})
  await producer.disconnect(10)
  await assert.rejects(left, (error) => error instanceof KafkaError && error.code === 'closed')
})
