/** Sends what it is told to, at a rate or as fast as it goes. */
import { makeItem } from '../item.ts'
import { sendOnSchedule } from '../open-loop.ts'
import { createClient } from './client.ts'
import { answer, type FeederOrder } from './messages.ts'

const sendsInFlight = 2
const [target = ''] = process.argv.slice(2)
const producer = createClient().producer()
await producer.connect()

function send(first: number, { round, count, chunk }: FeederOrder, at: number): Promise<unknown> {
  const length = Math.min(chunk, count - first)
  const messages = Array.from({ length }, (_, i) => {
    const item = makeItem(first + i, round, at)
    return { key: String(item.n), value: JSON.stringify(item) }
  })
  return producer.send({ topic: target, acks: -1, messages })
}

async function feed(order: FeederOrder): Promise<readonly number[]> {
  if (order.perSecond !== undefined) {
    const sends: Promise<unknown>[] = []
    const lateMs = await sendOnSchedule(
      { perSecond: order.perSecond / order.chunk, count: Math.ceil(order.count / order.chunk) },
      (n, intended) => sends.push(send(n * order.chunk, order, intended)),
    )
    await Promise.all(sends)
    return lateMs
  }
  let next = 0
  const feedOn = async (): Promise<void> => {
    while (next < order.count) {
      const first = next
      next += order.chunk
      await send(first, order, 0)
    }
  }
  await Promise.all(Array.from({ length: sendsInFlight }, feedOn))
  return []
}

process.on('message', async (order: FeederOrder) => {
  answer({ kind: 'fed', lateMs: await feed(order) })
})
process.once('SIGTERM', async () => {
  await producer.disconnect()
  process.exit()
})
answer({ kind: 'ready' })
