import { Agent, request } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'

const socketsMax = 512
const answerMaxMs = 90_000
const busyMaxMs = 60_000
const retryAfterMaxS = 10

export type Answer = { readonly status: number; readonly body: unknown }

export type Rest = {
  /** One exchange over a kept connection. */
  send(method: string, path: string, body?: unknown): Promise<Answer>
  /** The body of a successful answer; waits out 429 and 503, throws on others. */
  call<Body>(method: string, path: string, body?: unknown): Promise<Body>
  /** How often an answer was 429 or 503. */
  refusals(): number
  close(): void
}

export function createRest(base: string, key: string): Rest {
  const agent = new Agent({ keepAlive: true, maxSockets: socketsMax, noDelay: true })
  const { hostname, port } = new URL(base)
  let refused = 0

  const exchange = (method: string, path: string, body?: unknown) =>
    new Promise<Answer & { readonly retryAfterS: number }>((resolve, reject) => {
      const text = body === undefined ? undefined : JSON.stringify(body)
      const outgoing = request(
        {
          agent,
          hostname,
          port,
          method,
          path,
          timeout: answerMaxMs,
          headers: {
            authorization: `Bearer ${key}`,
            ...(text !== undefined && {
              'content-type': 'application/json',
              'content-length': Buffer.byteLength(text),
            }),
          },
        },
        (incoming) => {
          const chunks: Buffer[] = []
          incoming.on('data', (chunk: Buffer) => chunks.push(chunk))
          incoming.once('error', reject)
          incoming.once('end', () => {
            const status = incoming.statusCode ?? 0
            const retryAfterS = Number(incoming.headers['retry-after']) || 1
            resolve({ status, body: parse(Buffer.concat(chunks).toString()), retryAfterS })
          })
        },
      )
      outgoing.once('timeout', () => outgoing.destroy(new Error(`no answer to ${method} ${path}`)))
      outgoing.once('error', reject)
      outgoing.end(text)
    })

  return {
    send: exchange,
    async call<Body>(method: string, path: string, body?: unknown): Promise<Body> {
      const startedAt = performance.now()
      for (;;) {
        const answer = await exchange(method, path, body)
        if (answer.status >= 200 && answer.status < 300) return answer.body as Body
        const isBusy = answer.status === 429 || answer.status === 503
        if (!isBusy || performance.now() - startedAt > busyMaxMs)
          throw new Error(
            `${method} ${path} answered ${answer.status}: ${JSON.stringify(answer.body).slice(0, 500)}`,
          )
        refused += 1
        await sleep(Math.min(answer.retryAfterS, retryAfterMaxS) * 1_000)
      }
    },
    refusals: () => refused,
    close: () => agent.destroy(),
  }
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return text
  }
}
