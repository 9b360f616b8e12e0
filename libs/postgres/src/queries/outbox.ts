import type { Tx } from '../statement.ts'

export type OutboxRecord = {
  readonly topic: string
  readonly key: string
  /** Null is a tombstone. */
  readonly value: string | null
  readonly headers?: Readonly<Record<string, string>>
}

export type StoredOutboxRecord = Required<OutboxRecord> & { readonly id: number }

/**
 * Leaves records for Kafka, in the transaction of what they announce. Change the row that a record
 * is about first: that lock is what orders the records of one key.
 */
export async function addOutbox(tx: Tx, records: readonly OutboxRecord[]): Promise<void> {
  if (records.length === 0) return
  await tx.execute({
    name: 'add-outbox',
    text: `insert into outbox (topic, key, value, headers)
      select * from unnest($1::text[], $2::text[], $3::text[], $4::text[])`,
    values: [
      records.map((record) => record.topic),
      records.map((record) => record.key),
      records.map((record) => record.value),
      records.map((record) => JSON.stringify(record.headers ?? {})),
    ],
  })
}

/** The oldest records. Produce them in this order, then delete: each arrives at least once. */
export async function readOutbox(tx: Tx, limit: number): Promise<StoredOutboxRecord[]> {
  const rows = await tx.query<Omit<StoredOutboxRecord, 'headers'> & { headers: string }>({
    name: 'read-outbox',
    text: `select id, topic, key, value, headers from outbox order by id limit $1`,
    values: [limit],
  })
  return rows.map((row) => ({ ...row, headers: JSON.parse(row.headers) as Record<string, string> }))
}

export async function deleteOutbox(tx: Tx, ids: readonly number[]): Promise<void> {
  if (ids.length === 0) return
  await tx.execute({
    name: 'delete-outbox',
    text: 'delete from outbox where id = any ($1::bigint[])',
    values: [ids],
  })
}
