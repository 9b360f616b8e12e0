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
} from '@weir/runtime'
import { startWatchdog } from './watchdog.ts'

await runService('watchdog', async ({ log, health, fail }) => {
  const config = readConfig({ ...kafkaSettings, ...httpSettings })
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
