import type { InstanceRecord, Topics } from '@weir/contracts'
import type { Producer } from '@weir/kafka'
import type { Logger } from '@weir/runtime'

/** What an instance says of itself on `weir.registry`. */
export type Registry = {
  /** Something has changed that others wait for; what changes together is said once. */
  touch(): void
  /** The first record, then a beat. */
  start(): void
  /** A tombstone: the instance is gone, and not lost. */
  leave(): Promise<void>
  stop(): void
}

export type RegistryOptions = {
  readonly producer: Producer
  readonly topics: Topics
  readonly instance: string
  readonly log: Logger
  readonly describe: () => InstanceRecord
}

const BEAT_MS = 5_000
const COALESCE_MS = 100

export function createRegistry(options: RegistryOptions): Registry {
  const { producer, topics, instance, log } = options
  let timer: NodeJS.Timeout | undefined
  let dueAtMs = 0
  let isSending = false
  let isStopped = true

  const schedule = (inMs: number) => {
    if (isStopped) return
    const atMs = performance.now() + inMs
    if (timer !== undefined && dueAtMs <= atMs) return
    clearTimeout(timer)
    dueAtMs = atMs
    timer = setTimeout(say, inMs)
  }

  const say = async () => {
    timer = undefined
    // One at a time: an older record must not come after a newer one.
    if (isSending) {
      schedule(COALESCE_MS)
      return
    }
    isSending = true
    try {
      const value = JSON.stringify(options.describe())
      await producer.send([{ topic: topics.registry, partition: 0, key: instance, value }])
    } catch (error) {
      log.warn({ err: error }, 'the registry could not be told')
    }
    isSending = false
    schedule(BEAT_MS)
  }

  const stop = () => {
    isStopped = true
    clearTimeout(timer)
    timer = undefined
  }

  return {
    touch: () => schedule(COALESCE_MS),
    start() {
      isStopped = false
      schedule(0)
    },
    async leave() {
      stop()
      await producer.send([{ topic: topics.registry, partition: 0, key: instance, value: null }])
    },
    stop,
  }
}
