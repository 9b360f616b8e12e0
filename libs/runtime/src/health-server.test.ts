import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createHealth } from './health.ts'
import { startHealthServer } from './health-server.ts'
import { createMetrics } from './metrics.ts'

test('readiness names the part that fails, and life goes on meanwhile', async () => {
  const health = createHealth()
  const metrics = createMetrics({ service: 'svc' })
  const server = await startHealthServer({ health, metrics, host: '127.0.0.1', port: 0 })
  const get = async (path: string) => {
    const response = await fetch(`http://127.0.0.1:${server.port}${path}`)
    return { status: response.status, text: await response.text() }
  }
  assert.deepEqual(JSON.parse((await get('/readyz')).text).checks, { process: 'starting' })
  let kafka: string | undefined = 'no broker answers'
  health.add(
    { name: 'kafka', check: () => kafka },
    {
      name: 'postgres',
      check: async () => {
        if (kafka !== undefined) throw new Error('refused')
        return undefined
      },
    },
  )
  const failing = await get('/readyz')
  assert.equal(failing.status, 503)
  assert.deepEqual(JSON.parse(failing.text), {
    status: 'not_ready',
    checks: { kafka: 'no broker answers', postgres: 'refused' },
  })
  assert.equal((await get('/healthz')).status, 200)
  kafka = undefined
  assert.deepEqual(JSON.parse((await get('/readyz?verbose')).text), {
    status: 'ready',
    checks: { kafka: 'ok', postgres: 'ok' },
  })
  assert.match((await get('/metrics')).text, /process_cpu_seconds_total/)
  assert.equal((await get('/else')).status, 404)
  health.stop()
  assert.equal((await get('/readyz')).status, 503)
  await server.close()
})
