import { Kafka, logLevel } from 'kafkajs'

/** The client as it comes, without any of Weir's patches. */
export function createClient(): Kafka {
  return new Kafka({
    clientId: 'baseline',
    brokers: (process.env.BENCH_BROKERS ?? '').split(','),
    // What matters is thrown; the rest is the talk of groups that come and go.
    logLevel: logLevel.NOTHING,
  })
}

export const consumerSettings = { maxWaitTimeInMs: 50, maxBytesPerPartition: 1024 * 1024 } as const
export const recordsPerSendMax = 1_000
