import { protocolType } from './errors.ts'
import type { Broker, ClientError, Cluster } from './internals.ts'

/** Waits; ends early, without an error, when `signal` aborts. */
export function pause(ms: number, signal?: AbortSignal): Promise<void> {
  if (signal?.aborted === true) return Promise.resolve()
  return new Promise((resolve) => {
    const done = () => {
      clearTimeout(timer)
      signal?.removeEventListener('abort', done)
      resolve()
    }
    const timer = setTimeout(done, ms)
    signal?.addEventListener('abort', done, { once: true })
  })
}

/** Delay before attempt `attempt` (from 0): doubling from 100 ms to 1 s, with 20 % jitter. */
export function backoffMs(attempt: number): number {
  return Math.min(1000, 100 * 2 ** Math.min(attempt, 10)) * (0.8 + Math.random() * 0.4)
}

const BAD_TOPIC_TYPES = new Set([
  'UNKNOWN_TOPIC_OR_PARTITION',
  'INVALID_TOPIC_EXCEPTION',
  'TOPIC_AUTHORIZATION_FAILED',
])

/**
 * Forgets what a failed request showed to be stale, so that the next attempt starts fresh. `topics`
 * are those still of interest. Throws when no broker can be asked.
 */
export async function recoverCluster(
  cluster: Cluster,
  error: unknown,
  topics: readonly string[] = [...cluster.targetTopics],
): Promise<void> {
  const failed = error as ClientError
  if (failed?.name === 'KafkaJSConnectionClosedError' && failed.host !== undefined) {
    // The client would lose its last way in by removing the broker it was seeded from.
    if (Object.keys(cluster.brokerPool.brokers).length > 1) {
      cluster.removeBroker({ host: failed.host, port: failed.port ?? 0 })
    }
  }
  cluster.brokerPool.metadataExpireAt = null
  if (!cluster.isConnected()) await cluster.connect()
  try {
    for (const topic of topics) cluster.targetTopics.add(topic)
    await cluster.refreshMetadata()
  } catch (fault) {
    if (!BAD_TOPIC_TYPES.has(protocolType(fault) ?? '')) throw fault
    await refreshOneByOne(cluster, topics)
  }
}

/** One topic that is gone fails the metadata of all: then each is asked for by itself. */
async function refreshOneByOne(cluster: Cluster, topics: readonly string[]): Promise<void> {
  cluster.targetTopics.clear()
  for (const topic of topics) {
    try {
      await cluster.addMultipleTargetTopics([topic])
    } catch (fault) {
      if (!BAD_TOPIC_TYPES.has(protocolType(fault) ?? '')) throw fault
    }
  }
}

/** Closes all connections now: requests under way are refused instead of waited for. */
export async function closeCluster(cluster: Cluster): Promise<void> {
  const brokers: Broker[] = Object.values(cluster.brokerPool.brokers)
  if (cluster.brokerPool.seedBroker !== undefined) brokers.push(cluster.brokerPool.seedBroker)
  for (const broker of brokers) {
    for (const connection of broker.connectionPool.pool) {
      connection.requestQueue.rejectAll(new Error('the connection is being closed'))
    }
  }
  await cluster.disconnect().catch(() => {})
}
