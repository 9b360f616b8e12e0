import { connect } from 'node:net'

const answerTimeoutMs = 2_000

// Metadata v1 for no topics: size, api key 3, version 1, correlation id 1, no client id, 0 topics.
const request = Buffer.from(
  '000000' + '0e' + '0003' + '0001' + '00000001' + 'ffff' + '00000000',
  'hex',
)
// Size, correlation id, then the number of brokers.
const brokerCountOffset = 8

/**
 * Whether the broker on this loopback port answers Metadata naming a broker. A TCP connect alone
 * says too little: the broker accepts connections shortly before it has joined its own cluster.
 */
export function isKafkaReady(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host: '127.0.0.1', port, timeout: answerTimeoutMs })
    const answer = (isReady: boolean): void => {
      socket.destroy()
      resolve(isReady)
    }
    let received = Buffer.alloc(0)
    socket.once('connect', () => socket.write(request))
    socket.on('data', (chunk) => {
      received = Buffer.concat([received, chunk])
      if (received.length >= brokerCountOffset + 4)
        answer(received.readInt32BE(brokerCountOffset) > 0)
    })
    socket.once('timeout', () => answer(false))
    socket.once('error', () => answer(false))
    socket.once('close', () => answer(false))
  })
}
