import { newUuid, parseTicketKey } from '@weir/contracts'
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
import { startLedger } from './ledger.ts'

await runService('ledger', async ({ log, health, fail }) => {
  const config = readConfig({
    ...kafkaSettings,
    ...postgresSettings,
    ...httpSettings,
    ledgerKey: secret('WEIR_LEDGER_KEY'),
  })
  const key = parseTicketKey(config.ledgerKey)
  if (key?.holder !== 'ledger') throw new Error('WEIR_LEDGER_KEY is not a key of the ledger')
  const metrics = createMetrics({ service: 'ledger' })
  const server = await startHealthServer({
    health,
    metrics,
    host: config.httpHost,
    port: config.httpPort,
  })
  const pool = createPool({
    ...toPostgresConnection(config),
    max: 6,
    applicationName: 'weir-ledger',
    onError: (error) => log.warn({ err: error }, 'a database connection broke'),
  })
  await checkRole(pool, 'weir_ledger', {
    ...(config.postgresManaged && {
      onMayCall: (functions) =>
        log.warn({ functions }, 'the database role may call what it must not'),
    }),
  })
  const ledger = await startLedger({
    kafka: connectKafka({ ...toKafkaConnection(config), clientId: 'weir-ledger', log }),
    pool,
    prefix: config.prefix,
    keys: [key],
    instanceId: newUuid(),
    log,
    metrics,
    fail,
  })
  return {
    checks: ledger.checks,
    async stop() {
      await ledger.stop()
      await pool.end()
      await server.close()
    },
  }
})
