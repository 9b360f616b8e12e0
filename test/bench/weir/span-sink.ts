import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'

export type SpanSink = {
  readonly url: string
  readonly received: { exports: number; bytes: number }
  close(): Promise<void>
}

/** A collector that takes spans and forgets them: what tracing costs without the cost of Jaeger. */
export async function startSpanSink(): Promise<SpanSink> {
  const received = { exports: 0, bytes: 0 }
  const server = createServer((incoming, response) => {
    incoming.on('data', (chunk: Buffer) => {
      received.bytes += chunk.length
    })
    incoming.once('end', () => {
      received.exports += 1
      response.writeHead(200, { 'content-type': 'application/x-protobuf' }).end()
    })
  })
  await once(server.listen(0, '127.0.0.1'), 'listening')
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    received,
    async close() {
      server.close()
      server.closeAllConnections()
    },
  }
}
