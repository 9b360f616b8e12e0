import { DISPATCHER_KEY, type DispatcherRecord, type Topics } from '@weir/contracts'
import type { Producer } from '@weir/kafka'
import { getQueueTotal, type Lease, type Pool } from '@weir/postgres'
import type { Logger, Metrics } from '@weir/runtime'
import type { Room } from './room.ts'

/** What the leading dispatcher tells of itself, on `weir.registry` and in its metrics. */
export type Figures = {
  /** Tells what is due, beside the work; `isBusy`: jobs wait. What cannot be told is told later. */
  tell(lease: Lease, isBusy: boolean): void
  /** It leads no more: its figures are those of another now. */
  clear(): void
}

type Options = {
  readonly pool: Pool
  readonly producer: Producer
  readonly topics: Topics
  readonly room: Room
  readonly log: Logger
  readonly metrics: Metrics
}

const BUSY_MS = 1_000
/** Also where nothing has changed: who has said nothing for longer is taken for gone. */
const BEAT_MS = 5_000
const STAGES_MAX = 1_000

export function createFigures(options: Options): Figures {
  const { pool, producer, topics, room, log, metrics } = options
  const slots = metrics.gauge('weir_dispatch_stage_slots', 'Slots held at a stage', {
    stage: { max: STAGES_MAX },
  })
  const limit = metrics.gauge(
    'weir_dispatch_stage_limit',
    'Slots that may be held at a stage, as far as its gate is believed',
    { stage: { max: STAGES_MAX } },
  )
  const queued = metrics.gauge('weir_dispatch_queued_jobs', 'Jobs of all tenants that wait')
  const queueAge = metrics.gauge(
    'weir_dispatch_queue_oldest_age_seconds',
    'Time that the oldest of them has waited',
  )
  const shown = new Set<string>()
  let askedAtMs = Number.NEGATIVE_INFINITY
  let toldAtMs = Number.NEGATIVE_INFINITY
  let told = ''
  let waiting = 0
  let isLooking = false

  const show = ({ held, queue }: Pick<DispatcherRecord, 'held' | 'queue'>) => {
    for (const stage of shown) {
      limit.set({ stage }, room.limit(stage))
      if (held[stage] === undefined) slots.set({ stage }, 0)
    }
    for (const [stage, count] of Object.entries(held)) {
      shown.add(stage)
      slots.set({ stage }, count)
      limit.set({ stage }, room.limit(stage))
    }
    queued.set({}, queue.queued)
    queueAge.set({}, queue.oldestAgeMs / 1_000)
  }

  const look = async (lease: Lease) => {
    const nowMs = performance.now()
    const { queued: count, oldestAgeMs } = await getQueueTotal(pool)
    waiting = count
    const held = room.heldByStage()
    const queue = { queued: count, oldestAgeMs: oldestAgeMs ?? 0 }
    show({ held, queue })
    const facts = count === 0 ? JSON.stringify(held) : JSON.stringify([held, queue])
    if (facts === told && nowMs - toldAtMs < BEAT_MS) return
    const record: DispatcherRecord = { v: 1, fencing: lease.fencing, held, queue }
    const value = JSON.stringify(record)
    await producer.send([{ topic: topics.registry, partition: 0, key: DISPATCHER_KEY, value }])
    told = facts
    toldAtMs = nowMs
  }

  return {
    tell(lease, isBusy) {
      const nowMs = performance.now()
      const everyMs = isBusy || waiting > 0 || room.runs > 0 || told !== '{}' ? BUSY_MS : BEAT_MS
      if (isLooking || nowMs - askedAtMs < everyMs) return
      askedAtMs = nowMs
      isLooking = true
      look(lease)
        .catch((error) => log.debug({ err: error }, 'the figures could not be told'))
        .finally(() => {
          isLooking = false
        })
    },
    clear() {
      for (const stage of shown) {
        slots.remove({ stage })
        limit.remove({ stage })
      }
      shown.clear()
      queued.remove({})
      queueAge.remove({})
      told = ''
    },
  }
}
