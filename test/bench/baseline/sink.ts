/** Takes what comes out, checks every item, and says when all of a round have come. */
import { monotonicMs } from '../clock.ts'
import { type Item, isRight } from '../item.ts'
import { consumerSettings, createClient } from './client.ts'
import { answer, type SinkOrder } from './messages.ts'

const hops = 3
const [source = ''] = process.argv.slice(2)
const consumer = createClient().consumer({ groupId: `baseline-${source}`, ...consumerSettings })

let order: SinkOrder = { round: -1, count: 0 }
let seen = new Uint8Array(0)
let missing = 0
let duplicates = 0
let wrong = 0
let latencyMs: number[] = []

function take(item: Item, now: number): void {
  if (item.round !== order.round || !isRight(item, item.n, hops) || item.n >= order.count) {
    wrong += 1
    return
  }
  if (seen[item.n] === 1) {
    duplicates += 1
    return
  }
  seen[item.n] = 1
  missing -= 1
  if (item.at > 0) latencyMs.push(now - item.at)
  if (missing === 0) answer({ kind: 'drained', duplicates, wrong, latencyMs, lastAtMs: now })
}

process.on('message', (next: SinkOrder) => {
  order = next
  seen = new Uint8Array(next.count)
  missing = next.count
  duplicates = 0
  wrong = 0
  latencyMs = []
})

await consumer.connect()
await consumer.subscribe({ topic: source, fromBeginning: true })
consumer.on(consumer.events.GROUP_JOIN, () => answer({ kind: 'ready' }))
await consumer.run({
  autoCommit: false,
  partitionsConsumedConcurrently: 4,
  async eachBatch({ batch: { partition, messages } }) {
    const now = monotonicMs()
    for (const { value } of messages) take(JSON.parse(String(value)) as Item, now)
    const last = messages.at(-1)
    if (last === undefined) return
    const offset = String(BigInt(last.offset) + 1n)
    await consumer.commitOffsets([{ topic: source, partition, offset }])
  },
})
process.once('SIGTERM', async () => {
  await consumer.disconnect()
  process.exit()
})
