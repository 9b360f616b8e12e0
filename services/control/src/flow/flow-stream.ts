import { setTimeout as pause } from 'node:timers/promises'
import { openStream } from '../http/open-stream.ts'
import type { Reply } from '../http/type-provider.ts'
import type { Flow } from './flow-view.ts'

const LOOK_MS = 1_000

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
  const stream = openStream(reply, signal)
  let last = ''
  try {
    while (!signal.aborted) {
      const { at: _, ...facts } = flow
      const text = JSON.stringify(facts)
      if (text !== last) {
        last = text
        await stream.write(`event: flow\ndata: ${JSON.stringify(flow)}\n\n`)
      }
      await pause(LOOK_MS, undefined, { signal }).catch(() => {})
      if (!signal.aborted) flow = await load()
    }
  } finally {
    stream.end()
  }
  return reply
}
