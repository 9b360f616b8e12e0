/**
 * The world outside of the demo, as a container beside it: takes what `publish` posts, counted by
 * idempotency key, and gives all of it to a GET.
 */
import { createServer } from 'node:http'

const KEYS_MAX = 10_000
const BODY_MAX_BYTES = 64 * 1024
const deliveries = new Map<string, { key: string; body: string; count: number }>()

const server = createServer(async (request, response) => {
  if (request.method === 'GET') {
    response.setHeader('content-type', 'application/json')
    response.end(JSON.stringify([...deliveries.values()]))
    return
  }
  const key = String(request.headers['idempotency-key'])
  let body = ''
  for await (const chunk of request) {
    body += chunk
    if (body.length > BODY_MAX_BYTES) return request.destroy()
  }
  const known = deliveries.get(key)
  if (known !== undefined) known.count += 1
  else if (deliveries.size < KEYS_MAX) deliveries.set(key, { key, body, count: 1 })
  response.writeHead(known === undefined || known.body === body ? 200 : 409).end()
})
server.listen(8080, '0.0.0.0')
process.once('SIGTERM', () => process.exit(0))
