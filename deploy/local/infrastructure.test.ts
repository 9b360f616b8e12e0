import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { test } from 'node:test'
import { startInfrastructure } from './infrastructure.ts'
import { isKafkaReady } from './kafka-ready.ts'
import { findLeftovers } from './leftovers.ts'
import { queryPostgres } from './test-postgres.ts'
import { afterTest, makeTestHome } from './test-support.ts'
import { waitUntil } from './wait.ts'

const silent = (): void => {}

test('Kafka and Postgres start, answer, stop, and leave nothing running', async (t) => {
  const home = makeTestHome(t)
  const infrastructure = await startInfrastructure({ home, progress: silent })
  afterTest(t, () => infrastructure.stop())

  assert.equal(await isKafkaReady(Number(infrastructure.kafka.brokers.split(':')[1])), true)
  const rows = await queryPostgres(infrastructure.postgres.url, 'show shared_buffers')
  assert.deepEqual(rows, [{ shared_buffers: '128MB' }])

  await assert.rejects(startInfrastructure({ home, progress: silent }), { code: 'already_running' })

  await infrastructure.stop()
  assert.deepEqual(findLeftovers(home), [])
})

test('Kafka and Postgres end with the process that started them, even when it is killed', async (t) => {
  const home = makeTestHome(t)
  const script = `
    import { startInfrastructure } from ${JSON.stringify(join(import.meta.dirname, 'infrastructure.ts'))}
    await startInfrastructure({ home: ${JSON.stringify(home)}, progress: () => {} })
    console.log('up')
    setInterval(() => {}, 1000)`
  const owner = spawn(process.execPath, ['--input-type=module', '-e', script], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  await once(owner.stdout, 'data')
  assert.notDeepEqual(findLeftovers(home), [])
  owner.kill('SIGKILL')
  assert.equal(await waitUntil(() => findLeftovers(home).length === 0, { timeoutMs: 20_000 }), true)
})

test('servers of the user are taken as they are', async (t) => {
  const given = {
    WEIR_KAFKA_BROKERS: 'broker-1:9092,broker-2:9092',
    WEIR_POSTGRES_URL: 'postgres://admin@database/postgres',
  }
  Object.assign(process.env, given)
  afterTest(t, () => {
    for (const name of Object.keys(given)) delete process.env[name]
  })
  const home = makeTestHome(t)
  const infrastructure = await startInfrastructure({ home, progress: silent })
  assert.equal(infrastructure.kafka.brokers, given.WEIR_KAFKA_BROKERS)
  assert.equal(infrastructure.postgres.url, given.WEIR_POSTGRES_URL)
  assert.deepEqual(findLeftovers(home), [])
  await infrastructure.stop()
})
