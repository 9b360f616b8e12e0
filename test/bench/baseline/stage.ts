/** One hop of the baseline: consume, parse, change, stringify, produce, commit. */
import { changeItem, type Item } from '../item.ts'
import { consumerSettings, createClient, recordsPerSendMax } from './client.ts'
import { answer } from './messages.ts'

const [source = '', target = ''] = process.argv.slice(2)
const kafka = createClient()
const producer = kafka.producer()
const consumer = kafka.consumer({ groupId: `baseline-${source}`, ...consumerSettings })
await producer.connect()
await consumer.connect()
await consumer.subscribe({ topic: source, fromBeginning: true })
consumer.on(consumer.events.GROUP_JOIN, () => answer({ kind: 'ready' }))
await consumer.run({
  autoCommit: false,
  partitionsConsumedConcurrently: 4,
  async eachBatch({ batch: { partition, messages } }) {
    for (let at = 0; at < messages.length; at += recordsPerSendMax) {
      const chunk = messages.slice(at, at + recordsPerSendMax)
      await producer.send({
        topic: target,
        acks: -1,
        messages: chunk.map(({ key, value }) => ({
          key,
          value: JSON.stringify(changeItem(JSON.parse(String(value)) as Item)),
        })),
      })
    }
    const last = messages.at(-1)
    if (last === undefined) return
    const offset = String(BigInt(last.offset) + 1n)
    await consumer.commitOffsets([{ topic: source, partition, offset }])
  },
})
process.once('SIGTERM', async () => {
  await Promise.all([consumer.disconnect(), producer.disconnect()])
  process.exit()
})
