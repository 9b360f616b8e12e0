import type { Producer } from '@weir/kafka'
import { deleteOutbox, type Pool, readOutbox, withTransaction } from '@weir/postgres'

const BATCH_MAX = 500

/**
 * Brings records from the outbox to Kafka, in order; each arrives at least once, and all of them are
 * absolute states, so twice is as good as once. Gives how many were relayed.
 */
export async function relayOutbox(pool: Pool, producer: Producer): Promise<number> {
  const records = await withTransaction(pool, (tx) => readOutbox(tx, BATCH_MAX))
  if (records.length === 0) return 0
  await producer.send(
    records.map((record) => ({
      topic: record.topic,
      key: record.key,
      value: record.value,
      headers: record.headers,
    })),
  )
  await withTransaction(pool, (tx) =>
    deleteOutbox(
      tx,
      records.map((record) => record.id),
    ),
  )
  return records.length
}
