import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, test } from 'node:test'
import { testStage } from '@weir/sdk'
import { publish } from './stage.ts'

const summary = { date: '2001-01-01', flights: 3 }

/** A receiver that answers with a status and keeps what it was sent. */
async function receive(status: number) {
  const got: { key: unknown; body: string }[] = []
  const server = createServer(async (request, response) => {
    const body = (await request.toArray()).join('')
    got.push({ key: request.headers['idempotency-key'], body })
    response.writeHead(status).end()
  })
  await once(server.listen(0, '127.0.0.1'), 'listening')
  process.env.WEIR_DEMO_RECEIVER = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`
  const close = () => {
    server.close()
    server.closeAllConnections()
  }
  return { got, close }
}

afterEach(() => {
  delete process.env.WEIR_DEMO_RECEIVER
})

test('a summary is posted under the key of the task and given on', async () => {
  const { got, close } = await receive(204)
  const { outcome } = await testStage(publish).run(summary, { idempotencyKey: 'key-1' })
  close()
  assert.deepEqual(outcome.status === 'ok' && outcome.output, summary)
  assert.deepEqual(got, [{ key: 'key-1', body: JSON.stringify(summary) }])
})

test('a receiver that fails is tried again, one that refuses is not', async () => {
  for (const [status, expected] of [
    [500, 'retry'],
    [429, 'retry'],
    [400, 'fail'],
  ] as const) {
    const { close } = await receive(status)
    const { outcome } = await testStage(publish).run(summary)
    close()
    assert.equal(outcome.status, expected)
  }
})

test('a receiver that is not there is tried again', async () => {
  const { close } = await receive(204)
  close()
  const { outcome } = await testStage(publish).run(summary)
  assert.equal(outcome.status === 'retry' && outcome.error.code, 'network_error')
})

test('without a receiver nothing is published, and that is said', async () => {
  const { outcome } = await testStage(publish).run(summary)
  assert.equal(outcome.status, 'skip')
})
