import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { Client } from 'pg'
import { startInfrastructure } from './infrastructure.ts'
import { isKafkaReady } from './kafka-ready.ts'
import { findLeftovers } from './leftovers.ts'
import { waitUntil } from './wait.ts'

const silent = (): void => {}

function makeHome(): string {
  return mkdtempSync(join(tmpdir(), 'weir-infra-'))
}

test('Kafka and Postgres start, answer, stop, and leave nothing running', async (t) => {
  const home = makeHome()
  t.after(() => rmSync(home, { recursive: true, force: true }))
  const infrastructure = await startInfrastructure({ home, progress: silent })
  t.after(() => infrastructure.stop())

  assert.equal(await isKafkaReady(Number(infrastructure.kafka.brokers.split(':')[1])), true)
  const client = new Client({ connectionString: infrastructure.postgres.url })
  await client.connect()
  const answer = await client.query('show shared_buffers')
  await client.end()
  assert.equal(answer.rows[0].shared_buffers, '128MB')

  await assert.rejects(startInfrastructure({ home, progress: silent }), { code: 'already_running' })

  await infrastructure.stop()
  assert.deepEqual(findLeftovers(home), [])
})

test('Kafka and Postgres end with the process that started them, even when it is killed', async (t) => {
  const home = makeHome()
  t.after(() => rmSync(home, { recursive: true, force: true }))
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
