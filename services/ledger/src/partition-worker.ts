import type { ChangeRecord, Topics } from '@weir/contracts'
import type { KafkaRecord, Producer } from '@weir/kafka'
import type { CancelRequest } from '@weir/postgres'
import { createBell, type Logger } from '@weir/runtime'
import type { GroupCommit } from './group-commit.ts'
import type { PartitionFold, RunKey } from './partition-fold.ts'
import type { RunBook } from './run-book.ts'

/** Queued records of a partition; over it, the partition is paused. */
const QUEUED_MAX = 5_000
const QUEUED_LOW = 1_000
const BATCH_MAX = 2_000
const RETRY_MS = [100, 200, 500, 1_000, 2_000] as const

export type PartitionWorker = {
  push(records: readonly KafkaRecord[]): void
  expire(keys: readonly RunKey[]): void
  /** Age of the oldest record that is read and not written yet; 0 where there is none. */
  behindMs(nowMs: number): number
  cancel(requests: readonly CancelRequest[]): void
  /** Ends the loop after the commit that is under way. */
  stop(): Promise<void>
}

export type WorkerOptions = {
  readonly fold: PartitionFold
  readonly commits: GroupCommit
  readonly producer: Producer
  readonly topics: Topics
  readonly log: Logger
  readonly pause: () => void
  readonly resume: () => void
  readonly onEnded: (books: readonly RunBook[], nowMs: number) => void
  /** The partition belongs to another owner, or stands elsewhere: it has to be taken anew. */
  readonly onConflict: () => void
}

/**
 * Works through one partition: folds what has come, writes fences, commits, announces; while a
 * commit is under way the next batch collects. Nothing is skipped: while Postgres or Kafka does not
 * answer, the same fold is tried again.
 */
export function startWorker(options: WorkerOptions): PartitionWorker {
  const { fold, commits, producer, topics, log } = options
  let queue: KafkaRecord[] = []
  let paused = false
  let stopped = false
  const news = createBell()
  let expired: readonly RunKey[] = []
  let cancelled: readonly CancelRequest[] = []
  /** When the batch came that is being written. */
  let writingSince: number | undefined

  const waitForWork = async () => {
    const hasWork = queue.length > 0 || expired.length > 0 || cancelled.length > 0
    const due = fold.nextDue
    const waitMs = due === null ? 1_000 : Math.min(Math.max(due - Date.now(), 20), 1_000)
    await news.heard(hasWork ? 0 : waitMs)
  }

  const nextBatch = (): KafkaRecord[] => {
    const batch = queue.length <= BATCH_MAX ? queue : queue.slice(0, BATCH_MAX)
    queue = queue.length <= BATCH_MAX ? [] : queue.slice(BATCH_MAX)
    if (paused && queue.length < QUEUED_LOW) {
      paused = false
      options.resume()
    }
    return batch
  }

  const writeFences = async () => {
    const fences = fold.fences()
    if (fences.length === 0) return
    const offsets = await producer.send(
      fences.map(({ key, record }) => ({
        topic: topics.control,
        partition: 0,
        key,
        value: JSON.stringify(record),
      })),
    )
    fences.forEach(({ book }, at) => {
      if (book.ending !== null) book.ending.fenceOffset = offsets[at] as number
    })
  }

  const announce = (record: ChangeRecord) => {
    // A hint: what is lost here is found by a poll.
    producer
      .send([{ topic: topics.changes, partition: 0, key: null, value: JSON.stringify(record) }])
      .catch((error: unknown) => log.warn({ err: error }, 'a change was not announced'))
  }

  const write = async () => {
    const due = fold.collect(Date.now(), false)
    if (due === null) return
    const answer = await commits.commit(due.fold)
    if (answer === 'conflict') {
      stopped = true
      options.onConflict()
      return
    }
    if (answer === 'cancel_missed') {
      await fold.reopen(due.fold, Date.now())
      return
    }
    fold.committed(due.fold)
    if (due.changes.length > 0) announce({ v: 1, kind: 'runs', runs: due.changes })
    if (due.ended.length > 0) options.onEnded(due.ended, Date.now())
  }

  /** Each part is retried by itself: a batch that has left the queue must not be lost. */
  const turn = async () => {
    const batch = nextBatch()
    writingSince = batch[0]?.timestamp
    await retrying(() => fold.read(batch, Date.now()))
    const [late, unwanted] = [expired, cancelled]
    expired = []
    cancelled = []
    if (late.length > 0) await retrying(() => fold.expire(late, Date.now()))
    if (unwanted.length > 0) await retrying(() => fold.cancel(unwanted, Date.now()))
    await retrying(writeFences)
    await retrying(write)
    writingSince = undefined
  }

  const retrying = async (attempt: () => Promise<void>) => {
    for (let tries = 0; ; tries += 1) {
      try {
        await attempt()
        return
      } catch (error) {
        log.warn({ err: error, tries }, 'a fold was not written; trying again')
        if (stopped && tries > 2) throw error
        const waitMs = RETRY_MS[Math.min(tries, RETRY_MS.length - 1)] as number
        await new Promise((resolve) => setTimeout(resolve, waitMs))
      }
    }
  }

  const loop = async () => {
    while (!stopped) {
      await waitForWork()
      if (stopped) return
      await turn()
    }
  }
  const running = loop().catch((error: unknown) => {
    log.error({ err: error }, 'the partition stopped')
    options.onConflict()
  })

  return {
    push(records) {
      queue.push(...records)
      if (queue.length > QUEUED_MAX && !paused) {
        paused = true
        options.pause()
      }
      news.ring()
    },
    expire(keys) {
      expired = keys
      news.ring()
    },
    cancel(requests) {
      cancelled = requests
      news.ring()
    },
    behindMs(nowMs) {
      const since = writingSince ?? queue[0]?.timestamp
      return since === undefined ? 0 : Math.max(0, nowMs - since)
    },
    async stop() {
      stopped = true
      news.ring()
      await running
    },
  }
}
