import type { LeaderClaim, Topics } from '@weir/contracts'
import { createConsumer, type Kafka, type KafkaError, type Producer } from '@weir/kafka'
import type { Logger } from '@weir/runtime'

/**
 * One watchdog leads: the member of the group that has its topic's one partition. It says so with a
 * record on that partition; the record's offset is its number. A leader that was cut off and does not
 * know that another leads has a lower number, so what it writes late is told apart.
 */
export type Leadership = {
  /** The number of this instance's claim while it leads, and was confirmed to lately. */
  leader(): number | undefined
  /** Whether it belongs to the group, leading or standing by. */
  isMember(): boolean
  stop(): Promise<void>
}

export type LeadershipOptions = {
  readonly kafka: Kafka
  readonly producer: Producer
  readonly topics: Topics
  readonly instanceId: string
  readonly log: Logger
  /** It leads from now on, or leads no more. */
  readonly onChanged: () => void
  readonly onFatal: (error: KafkaError) => void
}

/** A leader that was killed is missed after this; the least that brokers allow by default. */
const SESSION_MS = 6_000
const HEARTBEAT_MS = 2_000
const CLAIM_AGAIN_MS = 500

export function createLeadership(options: LeadershipOptions): Leadership {
  const { kafka, producer, topics, instanceId, log } = options
  let generation = -1
  let claimed: number | undefined
  let isStopped = false

  const lose = () => {
    if (claimed === undefined) return
    claimed = undefined
    log.info({}, 'this instance leads no more')
    options.onChanged()
  }

  const claim = async (under: number): Promise<void> => {
    const record: LeaderClaim = { v: 1, instance: instanceId, generation: under }
    const value = JSON.stringify(record)
    while (!isStopped && generation === under) {
      try {
        const [offset] = await producer.send([
          { topic: topics.watchdog, partition: 0, key: 'leader', value },
        ])
        if (isStopped || generation !== under) return
        claimed = offset
        log.info({ leader: offset, generation: under }, 'this instance leads now')
        options.onChanged()
        return
      } catch (error) {
        log.warn({ err: error }, 'the claim to lead could not be written, trying again')
        await new Promise((resolve) => setTimeout(resolve, CLAIM_AGAIN_MS))
      }
    }
  }

  const consumer = createConsumer({
    kafka,
    groupId: topics.watchdogGroup,
    topics: [topics.watchdog],
    sessionTimeoutMs: SESSION_MS,
    heartbeatMs: HEARTBEAT_MS,
    rebalanceTimeoutMs: SESSION_MS,
    onAssigned(assignment, next) {
      generation = next
      const [own] = assignment
      if (own === undefined) lose()
      else if (!own.isKept || claimed === undefined) {
        lose()
        void claim(next)
      }
    },
    onRevoked: lose,
    // The partition is never resumed: it is there to be had, not to be read.
    onRecords() {},
    onOffsetOutOfRange() {},
    onFatal: options.onFatal,
  })

  const isFresh = () => consumer.lastHeartbeatAgeMs() < SESSION_MS

  return {
    leader: () => (isFresh() ? claimed : undefined),
    isMember: isFresh,
    async stop() {
      isStopped = true
      lose()
      await consumer.stop()
    },
  }
}
