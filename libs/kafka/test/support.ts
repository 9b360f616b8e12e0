import { randomUUID } from 'node:crypto'
import type { NewTopic } from '../src/admin.ts'
import { type Admin, connectKafka, createAdmin, type Kafka } from '../src/index.ts'

/** A real broker: WEIR_TEST_KAFKA names it (`host:port`). */
export function testKafka(): Kafka {
  const brokers = process.env.WEIR_TEST_KAFKA
  if (!brokers) throw new Error('WEIR_TEST_KAFKA must name a broker (host:port) for this test')
  return connectKafka({ brokers: brokers.split(','), clientId: 'weir-test' })
}

export function uniqueName(what: string): string {
  return `weir-test.${what}.${randomUUID().slice(0, 8)}`
}

/** Makes topics for a test, and an admin that deletes them and disconnects when disposed. */
export async function withTopics(
  kafka: Kafka,
  ...topics: readonly NewTopic[]
): Promise<{ admin: Admin } & AsyncDisposable> {
  const admin = createAdmin({ kafka })
  await admin.createTopics(topics)
  return {
    admin,
    async [Symbol.asyncDispose]() {
      await admin.deleteTopics(topics.map(({ topic }) => topic))
      await admin.disconnect()
    },
  }
}

/** Waits for a condition; fails with `what` after 15 s. */
export async function until(what: string, condition: () => boolean): Promise<void> {
  const endAtMs = performance.now() + 15_000
  while (!condition()) {
    if (performance.now() > endAtMs) throw new Error(`did not happen in time: ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
}
