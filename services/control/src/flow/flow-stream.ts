import { once } from 'node:events'
import { setTimeout as pause } from 'node:timers/promises'
import type { Reply } from '../http/type-provider.ts'
import type { Flow } from './flow-view.ts'

const LOOK_MS = 1_000
const PING_MS = 15_000

/**
 * Writes the flow whenever it is another than the last one written, at most once a second. Each is
 * whole, so nothing has to be resumed; a reader that is slower gets fewer of them.
 */
export async function streamFlow(
  reply: Reply,
  signal: AbortSignal,
  load: () => Promise<Flow>,
): Promise<Reply> {
  // The first one may fail: then it is an answer like any other.
  let flow = await load()
  const { raw } = reply
  reply.hijack()
  const headers = reply.getHeaders() as Record<string, string>
  raw.writeHead(200, { ...headers, 'content-type': 'text/event-stream' })
  raw.write('retry: 1000\n\n')
  const ping = setInterval(() => {
    if (!raw.writableNeedDrain) raw.write(': ping\n\n')
  }, PING_MS)
  let last = ''
  try {
    while (!signal.aborted) {
      const { at: _, ...facts } = flow
      const text = JSON.stringify(facts)
      if (text !== last) {
        last = text
        const frame = `event: flow\ndata: ${JSON.stringify(flow)}\n\n`
        if (!raw.write(frame)) await once(raw, 'drain', { signal }).catch(() => {})
      }
      await pause(LOOK_MS, undefined, { signal }).catch(() => {})
      if (!signal.aborted) flow = await load()
    }
  } finally {
    clearInterval(ping)
    raw.end()
  }
  return reply
}
