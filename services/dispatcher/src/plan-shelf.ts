import type { Plan, Topics } from '@weir/contracts'
import { createReader, type Kafka, type KafkaRecord, type Producer } from '@weir/kafka'
import { loadPlans, type Pool, withTransaction } from '@weir/postgres'

/**
 * Compiled plans with their latest offset on the plans topic. A plan that is not in Kafka (new, or
 * the topic was made anew) is published before a message names it.
 */
export type PlanShelf = {
  /** Plans by id, loaded from Postgres where needed; unknown ids are left out. */
  load(ids: readonly string[]): Promise<Map<string, Plan>>
  /** Offset of the plan on the topic; publishes it where it is not there. */
  publish(plans: readonly Plan[]): Promise<Map<string, number>>
  stop(): Promise<void>
}

const CACHED_MAX = 10_000

export async function createPlanShelf(options: {
  readonly kafka: Kafka
  readonly producer: Producer
  readonly pool: Pool
  readonly topics: Topics
  readonly onFatal: (error: unknown) => void
}): Promise<PlanShelf> {
  const { pool, producer, topics } = options
  const plans = new Map<string, Plan>()
  const offsets = new Map<string, number>()

  const note = (records: readonly KafkaRecord[]) => {
    for (const { key, value, offset } of records) {
      const id = key?.toString()
      if (id === undefined) continue
      if (value === null) offsets.delete(id)
      else offsets.set(id, offset)
    }
  }
  const reader = createReader({
    kafka: options.kafka,
    topics: [topics.plans],
    from: 'earliest',
    maxWaitMs: 5_000,
    onRecords: (_topic, _partition, records) => note(records),
    onFatal: options.onFatal,
  })
  await reader.caughtUp

  return {
    async load(ids) {
      const missing = [...new Set(ids)].filter((id) => !plans.has(id))
      if (missing.length > 0) {
        const rows = await withTransaction(pool, (tx) => loadPlans(tx, missing))
        for (const row of rows) plans.set(row.planId, JSON.parse(row.plan) as Plan)
        for (const id of plans.keys()) {
          if (plans.size <= CACHED_MAX) break
          plans.delete(id)
        }
      }
      const found = new Map<string, Plan>()
      for (const id of ids) {
        const plan = plans.get(id)
        if (plan !== undefined) found.set(id, plan)
      }
      return found
    },
    async publish(wanted) {
      const missing = [...new Map(wanted.map((plan) => [plan.id, plan])).values()].filter(
        (plan) => !offsets.has(plan.id),
      )
      if (missing.length > 0) {
        const sent = await producer.send(
          missing.map((plan) => ({
            topic: topics.plans,
            partition: 0,
            key: plan.id,
            value: JSON.stringify(plan),
          })),
        )
        for (const [at, plan] of missing.entries()) offsets.set(plan.id, sent[at] as number)
      }
      return new Map(wanted.map((plan) => [plan.id, offsets.get(plan.id) as number]))
    },
    stop: () => reader.stop(),
  }
}
