import assert from 'node:assert/strict'
import { after, before, beforeEach, test } from 'node:test'
import { newUuid } from '@weir/contracts'
import {
  adoptPartition,
  type Fold,
  initOffsets,
  type Pool,
  readOffsets,
  withTransaction,
} from '@weir/postgres'
import { cloneDatabase, type TestDatabase } from '../../../test/support/database.ts'
import { createGroupCommit } from './group-commit.ts'

const partitions = [0, 1, 2, 3]
let db: TestDatabase
let ledger: Pool

before(async () => {
  db = await cloneDatabase()
  ledger = db.pool('weir_ledger')
})
after(() => db.drop())

beforeEach(async () => {
  await db.admin('delete from ledger_offsets')
  await withTransaction(ledger, async (tx) => {
    await initOffsets(
      tx,
      partitions.map((partition) => ({ partition, nextOffset: 10 })),
    )
    for (const partition of partitions) await adoptPartition(tx, partition, 'me')
  })
})

const foldOf = (partition: number, change: Partial<Fold> = {}): Fold => ({
  partition,
  fromOffset: 10,
  toOffset: 20,
  owner: 'me',
  chunks: [],
  ended: [],
  endedSteps: [],
  payloads: [],
  artifacts: [],
  ...change,
})

const offsets = async () => {
  const rows = await withTransaction(ledger, readOffsets)
  return rows.map(({ nextOffset }) => nextOffset)
}

test('folds that come together are written together', async () => {
  const transactions = async () => {
    const [row] = await db.admin<{ count: string }>(
      `select count(distinct xmin::text) as count from ledger_offsets`,
    )
    return Number(row?.count)
  }
  const commits = createGroupCommit(ledger)
  const answers = await Promise.all(
    partitions.map((partition) => commits.commit(foldOf(partition))),
  )
  assert.deepEqual(answers, ['committed', 'committed', 'committed', 'committed'])
  assert.deepEqual(await offsets(), [20, 20, 20, 20])
  assert.equal(await transactions(), 1)
})

test('a partition that has passed on keeps no other from being written', async () => {
  const commits = createGroupCommit(ledger)
  const answers = await Promise.all(
    partitions.map((partition) =>
      commits.commit(foldOf(partition, partition === 2 ? { owner: 'another' } : {})),
    ),
  )
  assert.deepEqual(answers, ['committed', 'committed', 'conflict', 'committed'])
  assert.deepEqual(await offsets(), [20, 20, 10, 20])
})

test('a fold that cannot be written fails alone', async () => {
  const commits = createGroupCommit(ledger)
  const bad = foldOf(1, {
    chunks: [{ tenant: 'no uuid', job: newUuid(), run: 1, fromSeq: 1, toSeq: 1, events: '[]' }],
  })
  const answers = await Promise.allSettled([
    commits.commit(foldOf(0)),
    commits.commit(bad),
    commits.commit(foldOf(3)),
  ])
  assert.deepEqual(
    answers.map(({ status }) => status),
    ['fulfilled', 'rejected', 'fulfilled'],
  )
  assert.deepEqual(await offsets(), [20, 10, 10, 20])
})
