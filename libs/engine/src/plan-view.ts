import type { Plan, Topics } from '@weir/contracts'
import { createReader, type Kafka, type KafkaError } from '@weir/kafka'
import type { Logger } from '@weir/runtime'

/** The compiled plans on `weir.plans`, by id. */
export type PlanView = {
  readonly caughtUp: Promise<void>
  get(id: string): Plan | undefined
  /** True where the plan published at this offset must have been read: if it is not there, it is gone. */
  hasPassed(offset: number): boolean
  /** The longest time that a step of a known plan gives a stage, milliseconds. */
  longestTimeoutMs(stage: string): number
  stop(): Promise<void>
}

export type PlanViewOptions = {
  readonly kafka: Kafka
  readonly topics: Topics
  readonly log: Logger
  /** New plans have been read. */
  readonly onPlans: () => void
  readonly onFatal: (error: KafkaError) => void
}

export function createPlanView(options: PlanViewOptions): PlanView {
  const topic = options.topics.plans
  const plans = new Map<string, Plan>()

  const reader = createReader({
    kafka: options.kafka,
    topics: [topic],
    from: 'earliest',
    onRecords: (_topic, _partition, records) => {
      for (const { key, value, offset } of records) {
        const id = key?.toString() ?? ''
        if (value === null) {
          plans.delete(id)
          continue
        }
        try {
          const plan = JSON.parse(value.toString()) as Plan
          if (plan.v !== 1 || plan.id !== id) throw new Error('it is no plan of this format')
          plans.set(id, plan)
        } catch (error) {
          options.log.error({ topic, offset, err: error }, 'a plan cannot be read')
        }
      }
      options.onPlans()
    },
    onFatal: options.onFatal,
  })

  return {
    caughtUp: reader.caughtUp,
    get: (id) => plans.get(id),
    hasPassed: (offset) => (reader.position(topic, 0) ?? 0) > offset,
    longestTimeoutMs(stage) {
      let longest = 0
      for (const plan of plans.values()) {
        for (const step of plan.steps) {
          if (step.stage === stage) longest = Math.max(longest, step.timeoutMs)
        }
      }
      return longest
    },
    stop: () => reader.stop(),
  }
}
