import type { JobEvent } from '@weir/contracts'
import { openStream } from '../http/open-stream.ts'
import type { Reply } from '../http/type-provider.ts'

export type EventPage = {
  readonly events: readonly JobEvent[]
  /** There are more behind these. */
  readonly hasMore: boolean
  /** There will never be any behind these. */
  readonly hasEnded: boolean
}

export type EventSource = {
  readonly after: number
  readonly signal: AbortSignal
  readonly show: (event: JobEvent) => JobEvent
  /** The next events after a number: a bounded page of them. */
  readonly load: (seq: number) => Promise<EventPage>
  /** Calls `look` at once and whenever the job may have changed, until it answers something. */
  readonly changed: (look: () => Promise<true | undefined>) => Promise<true | undefined>
}

/**
 * Writes a job's events as they come, each once and in order: the number of the last one written is
 * where the next look begins, and what a client resumes from. Ends after the event that ends the
 * latest run. The backlog of a reader that does not read stays in the log: what is held for it is one
 * page and what the connection buffers.
 */
export async function streamEvents(reply: Reply, source: EventSource): Promise<Reply> {
  const stream = openStream(reply, source.signal)
  let last = source.after
  try {
    await source.changed(async () => {
      for (;;) {
        const { events, hasMore, hasEnded } = await source.load(last)
        for (const event of events) {
          if (source.signal.aborted) return true
          last = event.seq
          await stream.write(toFrame(source.show(event)))
        }
        if (hasEnded) return true
        if (!hasMore) return undefined
      }
    })
  } finally {
    stream.end()
  }
  return reply
}

function toFrame(event: JobEvent): string {
  return `id: ${event.seq}\nevent: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`
}
