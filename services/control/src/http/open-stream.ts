import { once } from 'node:events'
import type { Reply } from './type-provider.ts'

const PING_MS = 15_000

export type EventStream = {
  /** Writes a frame; a reader that is slower is waited for, until it has gone: nothing piles up here. */
  write(frame: string): Promise<void>
  end(): void
}

/** Makes a reply a stream of server-sent events, kept alive by pings until its end. */
export function openStream(reply: Reply, signal: AbortSignal): EventStream {
  const { raw } = reply
  reply.hijack()
  const headers = reply.getHeaders() as Record<string, string>
  raw.writeHead(200, { ...headers, 'content-type': 'text/event-stream' })
  raw.write('retry: 1000\n\n')
  const ping = setInterval(() => {
    if (!raw.writableNeedDrain) raw.write(': ping\n\n')
  }, PING_MS)
  return {
    async write(frame) {
      if (!raw.write(frame)) await once(raw, 'drain', { signal }).catch(() => {})
    },
    end() {
      clearInterval(ping)
      raw.end()
    },
  }
}
