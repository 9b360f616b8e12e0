import { randomInt } from 'node:crypto'
import { createServer } from 'node:net'

// Below the range from which the kernel takes the local ports of outgoing connections: a port from
// that range could be taken by a client while its server is being restarted.
const portFirst = 20_000
const portLast = 31_999
const triesMax = 200
/** Ports that this process has given away: who got one may not listen on it yet. */
const given = new Set<number>()

/** Whether a server could listen on this loopback port right now. */
export function isPortFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer()
    server.once('error', () => resolve(false))
    server.listen({ host: '127.0.0.1', port, exclusive: true }, () =>
      server.close(() => resolve(true)),
    )
  })
}

/** A loopback port that nothing listens on, another one each time. Nothing holds it: take it soon. */
export async function findFreePort(): Promise<number> {
  for (let tries = 0; tries < triesMax; tries += 1) {
    const port = randomInt(portFirst, portLast + 1)
    if (given.has(port)) continue
    given.add(port)
    if (await isPortFree(port)) return port
  }
  throw new Error(`no free port between ${portFirst} and ${portLast} on 127.0.0.1`)
}
