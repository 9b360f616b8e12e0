import assert from 'node:assert/strict'
import { createRequire } from 'node:module'
import { type AddressInfo, createServer } from 'node:net'
import { test } from 'node:test'
import { until } from '../../test/support.ts'
import { patchConnection } from './connection.ts'

const require = createRequire(import.meta.url)
const Connection = require('kafkajs/src/network/connection')
const createSocketFactory = require('kafkajs/src/network/socketFactory')

patchConnection()

const logger = { namespace: () => logger, debug() {}, info() {}, warn() {}, error() {} }

function createConnection(port: number) {
  return new Connection({
    host: '127.0.0.1',
    port,
    logger,
    socketFactory: createSocketFactory(),
    requestTimeout: 1000,
    connectionTimeout: 1000,
  })
}

test('all who ask for a connection at once share one socket', async () => {
  let accepted = 0
  const server = createServer(() => {
    accepted += 1
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', () => resolve()))
  const { port } = server.address() as AddressInfo
  const connection = createConnection(port)
  await Promise.all([connection.connect(), connection.connect(), connection.connect()])
  await until('the server sees it', () => accepted > 0)
  await connection.disconnect()
  await new Promise((resolve) => server.close(resolve))
  assert.equal(accepted, 1)
})

test('after a refusal the next one tries again', async () => {
  const connection = createConnection(1)
  await assert.rejects(connection.connect())
  await assert.rejects(connection.connect())
})

test('closing a dead connection again leaves nothing behind', async () => {
  const connection = createConnection(1)
  await assert.rejects(connection.connect())
  const { socket } = connection
  for (let count = 0; count < 5; count++) await connection.disconnect()
  assert.ok(socket === undefined || socket.listenerCount('connect') <= 1)
})
