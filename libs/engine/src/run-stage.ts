import { parseTicketKey } from '@weir/contracts'
import { connectKafka } from '@weir/kafka'
import {
  createMetrics,
  httpSettings,
  kafkaSettings,
  oneOf,
  optional,
  readConfig,
  runService,
  secret,
  startHealthServer,
  toKafkaConnection,
  whole,
} from '@weir/runtime'
import type { Stage } from '@weir/sdk'
import { SINK_POLICIES } from './event-sink.ts'
import { EVENTS_PER_SECOND, EVENTS_QUEUE, startStage } from './start-stage.ts'

export const stageSettings = {
  ...kafkaSettings,
  ...httpSettings,
  /** From the stage's registration. */
  stageKey: secret('WEIR_STAGE_KEY'),
  /** Tasks at once; default the stage's own. */
  concurrency: optional(whole('WEIR_CONCURRENCY', { min: 1, max: 1_000 })),
  /** What becomes of an event of a handler (`ctx.event`) when as many wait as may. */
  eventsPolicy: oneOf('WEIR_EVENTS_POLICY', SINK_POLICIES, { default: 'block' }),
  eventsQueue: whole('WEIR_EVENTS_QUEUE', { default: EVENTS_QUEUE, min: 1, max: 100_000 }),
  eventsPerSecond: whole('WEIR_EVENTS_PER_SECOND', {
    default: EVENTS_PER_SECOND,
    min: 1,
    max: 100_000,
  }),
  stopGraceMs: whole('WEIR_STOP_GRACE_MS', { default: 10_000, min: 0, max: 600_000 }),
}

/** What the end of a stop needs after the drain: to send, commit and leave. */
const CLOSE_MS = 3_000

/**
 * The process of a stage: configured by its environment, it runs until it is told to stop, and sets
 * the exit code. `/healthz`, `/readyz` and `/metrics` are on WEIR_HTTP_PORT.
 */
export async function runStage(stage: Stage): Promise<void> {
  await runService(`stage-${stage.name}`, async ({ log, health, fail }) => {
    const config = readConfig(stageSettings)
    const key = parseTicketKey(config.stageKey)
    if (key === undefined) throw new Error('WEIR_STAGE_KEY must be a stage key (weirkey_…)')
    const metrics = createMetrics({ service: `stage-${stage.name}` })
    const server = await startHealthServer({
      health,
      metrics,
      host: config.httpHost,
      port: config.httpPort,
    })
    const instance = startStage(stage, {
      kafka: connectKafka({ ...toKafkaConnection(config), clientId: `stage-${stage.name}`, log }),
      keys: [key],
      prefix: config.prefix,
      log,
      metrics,
      graceMs: Math.max(0, config.stopGraceMs - CLOSE_MS),
      onFatal: fail,
      events: {
        policy: config.eventsPolicy,
        queueMax: config.eventsQueue,
        perSecond: config.eventsPerSecond,
      },
      ...(config.concurrency !== undefined && { concurrency: config.concurrency }),
    })
    log.info({ instance: instance.instanceId, port: server.port }, 'the stage has started')
    return {
      checks: [{ name: 'stage', check: () => instance.notReady() }],
      async stop() {
        await instance.stop()
        await server.close()
      },
    }
  })
}
