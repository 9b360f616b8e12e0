import { once } from 'node:events'
import { createServer, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'

export type Delivery = { readonly key: string; readonly body: string; count: number }

export type Receiver = {
  readonly url: string
  /** By idempotency key, in the order of their first arrival. */
  readonly deliveries: ReadonlyMap<string, Delivery>
  close(): Promise<void>
}

const BODY_MAX_BYTES = 64 * 1024
const KEYS_MAX = 10_000

/** The world outside of the demo: an address that takes what `publish` posts and counts it by key. */
export async function startReceiver(): Promise<Receiver> {
  const deliveries = new Map<string, Delivery>()
  const server = createServer(async (request, response) => {
    const answer = (status: number) => response.writeHead(status).end()
    const key = request.headers['idempotency-key']
    if (request.method !== 'POST') return answer(405)
    if (typeof key !== 'string') return answer(400)
    const body = await readBody(request)
    if (body === undefined) return answer(413)
    const known = deliveries.get(key)
    if (known !== undefined) {
      known.count += 1
      return answer(known.body === body ? 200 : 409)
    }
    if (deliveries.size >= KEYS_MAX) return answer(507)
    deliveries.set(key, { key, body, count: 1 })
    answer(201)
  })
  await once(server.listen(0, '127.0.0.1'), 'listening')
  const { port } = server.address() as AddressInfo
  return {
    url: `http://127.0.0.1:${port}/`,
    deliveries,
    async close() {
      const closed = once(server, 'close')
      server.close()
      server.closeAllConnections()
      await closed
    },
  }
}

async function readBody(request: IncomingMessage): Promise<string | undefined> {
  const chunks: Buffer[] = []
  let bytes = 0
  try {
    for await (const chunk of request as AsyncIterable<Buffer>) {
      bytes += chunk.length
      if (bytes > BODY_MAX_BYTES) return undefined
      chunks.push(chunk)
    }
  } catch {
    // The sender went away in the middle; whoever answers finds the connection closed.
    return undefined
  }
  return Buffer.concat(chunks).toString('utf8')
}
