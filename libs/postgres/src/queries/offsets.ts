import type { Tx } from '../statement.ts'

export type PartitionOffset = {
  readonly partition: number
  readonly nextOffset: number
  readonly owner: string
}

/** Makes the rows of partitions that are not known yet, at the given offset. */
export async function initOffsets(
  tx: Tx,
  partitions: readonly { readonly partition: number; readonly nextOffset: number }[],
): Promise<void> {
  await tx.execute({
    name: 'init-offsets',
    text: `insert into ledger_offsets (partition, next_offset, owner)
      select p.partition, p.next_offset, ''
      from unnest($1::integer[], $2::bigint[]) as p(partition, next_offset)
      on conflict (partition) do nothing`,
    values: [partitions.map((each) => each.partition), partitions.map((each) => each.nextOffset)],
  })
}

/** Where each partition of the events topic stands. */
export async function readOffsets(tx: Tx): Promise<PartitionOffset[]> {
  return tx.query<PartitionOffset>({
    name: 'read-offsets',
    text: `select partition, next_offset as "nextOffset", owner from ledger_offsets order by partition`,
  })
}

/**
 * Makes `owner` the only one whose folds of the partition are accepted, and answers the offset to
 * read from; undefined where the partition is not known. A fold of the owner before that is under
 * way is waited for; one that comes later is refused.
 */
export async function adoptPartition(
  tx: Tx,
  partition: number,
  owner: string,
): Promise<number | undefined> {
  const rows = await tx.query<{ nextOffset: number }>({
    name: 'adopt-partition',
    text: `update ledger_offsets set owner = $2 where partition = $1
      returning next_offset as "nextOffset"`,
    values: [partition, owner],
  })
  return rows[0]?.nextOffset
}
