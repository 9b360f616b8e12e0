import { newUuid } from '@weir/contracts'
import { connectKafka } from '@weir/kafka'
import { checkRole, createPool } from '@weir/postgres'
import {
  createMetrics,
  httpSettings,
  kafkaSettings,
  postgresSettings,
  readConfig,
  runService,
  secret,
  startHealthServer,
  toKafkaConnection,
  toPostgresConnection,
} from '@weir/runtime'
import { startDispatcher } from './dispatcher.ts'

await runService('dispatcher', async ({ log, health, fail }) => {
  const config = readConfig({
    ...kafkaSettings,
    ...postgresSettings,
    ...httpSettings,
    masterKey: secret('WEIR_MASTER_KEY'),
  })
  const masterKey = Buffer.from(config.masterKey.trim(), 'base64url')
  if (masterKey.length < 32) throw new Error('WEIR_MASTER_KEY is not 32 bytes in base64url')
  const metrics = createMetrics({ service: 'dispatcher' })
  const server = await startHealthServer({
    health,
    metrics,
    host: config.httpHost,
    port: config.httpPort,
  })
  const pool = createPool({
    ...toPostgresConnection(config),
    max: 6,
    applicationName: 'weir-dispatcher',
    onError: (error) => log.warn({ err: error }, 'a database connection broke'),
  })
  await checkRole(pool, 'weir_dispatcher', {
    ...(config.postgresManaged && {
      onMayCall: (functions) =>
        log.warn({ functions }, 'the database role may call what it must not'),
    }),
  })
  const dispatcher = await startDispatcher({
    kafka: connectKafka({ ...toKafkaConnection(config), clientId: 'weir-dispatcher', log }),
    pool,
    prefix: config.prefix,
    masterKey,
    instanceId: newUuid(),
    log,
    metrics,
    fail,
  })
  return {
    checks: dispatcher.checks,
    async stop() {
      await dispatcher.stop()
      await pool.end()
      await server.close()
    },
  }
})
