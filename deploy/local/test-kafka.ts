import { connect } from 'node:net'

// The two requests by which a test sees that a broker has kept its data, in the oldest versions
// that it speaks: no client is needed for them.
const createTopicsV2 = { key: 19, version: 2 }
const metadataV1 = { key: 3, version: 1 }
const answerTimeoutMs = 10_000

/** Creates a topic with one partition. */
export async function createTopic(brokers: string, name: string): Promise<void> {
  const topic = [int32(1), text(name), int32(1), int16(1), int32(0), int32(0)]
  const answer = await ask(brokers, createTopicsV2, [...topic, int32(5_000), Buffer.from([0])])
  // Throttle time, one topic: name, error code.
  const code = answer.readInt16BE(4 + 4 + 2 + Buffer.byteLength(name))
  if (code !== 0) throw new Error(`topic ${name} was not created: error ${code}`)
}

/** Names of the topics there are. */
export async function listTopics(brokers: string): Promise<string[]> {
  const answer = await ask(brokers, metadataV1, [int32(-1)])
  const reader = createReader(answer)
  for (let left = reader.int32(); left > 0; left -= 1) {
    reader.int32()
    reader.text()
    reader.int32()
    reader.text()
  }
  reader.int32()
  const names: string[] = []
  for (let left = reader.int32(); left > 0; left -= 1) {
    reader.skip(2)
    names.push(reader.text())
    reader.skip(1)
    for (let partitions = reader.int32(); partitions > 0; partitions -= 1) {
      reader.skip(10)
      reader.skip(4 * reader.int32())
      reader.skip(4 * reader.int32())
    }
  }
  return names
}

function createReader(buffer: Buffer) {
  let at = 0
  const take = (length: number): Buffer => {
    at += length
    return buffer.subarray(at - length, at)
  }
  return {
    skip: take,
    int32: () => take(4).readInt32BE(),
    text: () => take(Math.max(0, take(2).readInt16BE())).toString(),
  }
}

function ask(
  brokers: string,
  { key, version }: { key: number; version: number },
  body: readonly Buffer[],
): Promise<Buffer> {
  const request = Buffer.concat([int16(key), int16(version), int32(1), int16(-1), ...body])
  return new Promise((resolve, reject) => {
    const socket = connect({ host: '127.0.0.1', port: Number(brokers.split(':')[1]) })
    socket.setTimeout(answerTimeoutMs, () => socket.destroy(new Error('no answer')))
    let received = Buffer.alloc(0)
    socket.once('connect', () => socket.write(Buffer.concat([int32(request.length), request])))
    socket.on('data', (chunk) => {
      received = Buffer.concat([received, chunk])
      if (received.length < 4 || received.length < 4 + received.readInt32BE(0)) return
      // After the size and the correlation id.
      resolve(received.subarray(8))
      socket.destroy()
    })
    socket.once('error', reject)
    socket.once('close', () => reject(new Error('closed without an answer')))
  })
}

function int16(value: number): Buffer {
  const buffer = Buffer.alloc(2)
  buffer.writeInt16BE(value)
  return buffer
}

function int32(value: number): Buffer {
  const buffer = Buffer.alloc(4)
  buffer.writeInt32BE(value)
  return buffer
}

function text(value: string): Buffer {
  return Buffer.concat([int16(Buffer.byteLength(value)), Buffer.from(value)])
}
