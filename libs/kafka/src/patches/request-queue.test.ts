import assert from 'node:assert/strict'
import { createRequire } from 'node:module'
import { test } from 'node:test'
import { patchRequestQueue } from './request-queue.ts'

const RequestQueue = createRequire(import.meta.url)('kafkajs/src/network/requestQueue')

patchRequestQueue()

function createQueue() {
  return new RequestQueue({
    maxInFlightRequests: 1,
    requestTimeout: 30_000,
    enforceRequestTimeout: true,
    clientId: 'c',
    broker: 'b',
    logger: { debug() {}, warn() {} },
  })
}

function request(correlationId: number, sent: number[]) {
  return {
    entry: { correlationId, resolve() {}, reject() {} },
    expectResponse: true,
    sendRequest: () => sent.push(correlationId),
  }
}

test('an idle queue arms no timer', () => {
  const queue = createQueue()
  queue.push(request(1, []))
  queue.fulfillRequest({ correlationId: 1, payload: Buffer.alloc(0), size: 0 })
  assert.equal(queue.throttleCheckTimeoutId, null)
})

test('what waits is still sent when the one before is answered', () => {
  const queue = createQueue()
  const sent: number[] = []
  queue.push(request(1, sent))
  queue.push(request(2, sent))
  assert.deepEqual(sent, [1])
  assert.notEqual(queue.throttleCheckTimeoutId, null)
  queue.fulfillRequest({ correlationId: 1, payload: Buffer.alloc(0), size: 0 })
  assert.deepEqual(sent, [1, 2])
  queue.destroy()
})

test('a throttled queue wakes up by itself', async () => {
  const queue = createQueue()
  const sent: number[] = []
  queue.maybeThrottle(30)
  await new Promise<void>((resolve) => {
    queue.push({ ...request(1, sent), sendRequest: () => resolve() })
  })
  queue.destroy()
})

test('a request that is not answered in time is refused', async () => {
  const queue = createQueue()
  queue.requestTimeout = 20
  queue.scheduleRequestTimeoutCheck()
  const error = await new Promise<Error>((resolve) => {
    queue.push({ ...request(1, []), entry: { correlationId: 1, resolve() {}, reject: resolve } })
  })
  assert.equal(error.name, 'KafkaJSRequestTimeoutError')
  queue.destroy()
})
