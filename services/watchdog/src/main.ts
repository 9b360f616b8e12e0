import { newUuid } from '@weir/contracts'
import { connectKafka } from '@weir/kafka'
import {
  createMetrics,
  httpSettings,
  kafkaSettings,
  readConfig,
  runService,
  startHealthServer,
  toKafkaConnection,
  whole,
} from '@weir/runtime'
import { startWatchdog } from './watchdog.ts'

const watchdogSettings = {
  scaleDownAfterMs: whole('WEIR_SCALE_DOWN_AFTER_MS', {
    default: 60_000,
    min: 1_000,
    max: 86_400_000,
  }),
} as const

await runService('watchdog', async ({ log, health, fail }) => {
  const config = readConfig({ ...kafkaSettings, ...httpSettings, ...watchdogSettings })
  const metrics = createMetrics({ service: 'watchdog' })
  const server = await startHealthServer({
    health,
    metrics,
    host: config.httpHost,
    port: config.httpPort,
  })
  const watchdog = await startWatchdog({
    kafka: connectKafka({ ...toKafkaConnection(config), clientId: 'weir-watchdog', log }),
    prefix: config.prefix,
    instanceId: newUuid(),
    scaleDownAfterMs: config.scaleDownAfterMs,
    log,
    metrics,
    fail,
  })
  return {
    checks: watchdog.checks,
    async stop() {
      await watchdog.stop()
      await server.close()
    },
  }
})
