import { createServer, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Health } from './health.ts'
import type { Metrics } from './metrics.ts'

export type HealthServer = {
  readonly port: number
  close(): Promise<void>
}

/** `/healthz`, `/readyz` and `/metrics` for processes that have no API of their own. */
export async function startHealthServer(options: {
  readonly health: Health
  readonly metrics: Metrics
  readonly host: string
  /** 0: any free one. */
  readonly port: number
}): Promise<HealthServer> {
  const { health, metrics } = options
  const server = createServer((request, response) => {
    if (request.method !== 'GET' && request.method !== 'HEAD') {
      send(response, 405, 'text/plain', 'method not allowed\n')
      return
    }
    answer(request.url ?? '/', response).catch(() => {
      send(response, 500, 'text/plain', 'internal error\n')
    })
  })
  server.headersTimeout = 5000
  server.requestTimeout = 10_000

  const answer = async (url: string, response: ServerResponse): Promise<void> => {
    switch (url.split('?')[0]) {
      case '/healthz':
        return sendJson(response, 200, { status: 'alive' })
      case '/readyz': {
        const { isReady, checks } = await health.report()
        return sendJson(response, isReady ? 200 : 503, {
          status: isReady ? 'ready' : 'not_ready',
          checks,
        })
      }
      case '/metrics':
        return send(response, 200, metrics.contentType, await metrics.render())
      default:
        return sendJson(response, 404, { status: 'not_found' })
    }
  }

  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(options.port, options.host, () => {
      server.off('error', reject)
      resolve()
    })
  })
  return {
    port: (server.address() as AddressInfo).port,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}

function sendJson(response: ServerResponse, status: number, body: object): void {
  send(response, status, 'application/json', `${JSON.stringify(body)}\n`)
}

function send(response: ServerResponse, status: number, type: string, body: string): void {
  if (response.headersSent) return
  response.writeHead(status, { 'content-type': type, 'cache-control': 'no-store' })
  response.end(body)
}
