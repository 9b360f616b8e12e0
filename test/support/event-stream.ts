import type { Client, JobEvent } from './api-client.ts'

const STREAM_MAX_MS = 60_000

/** Follows a job's events as they happen; the stream ends by itself after the terminal one. */
export async function* followEvents(
  client: Client,
  job: string,
  lastEventId?: number,
): AsyncGenerator<JobEvent> {
  const response = await fetch(`${client.base}/v1/jobs/${job}/events`, {
    headers: {
      authorization: `Bearer ${client.key}`,
      accept: 'text/event-stream',
      ...(lastEventId !== undefined && { 'last-event-id': String(lastEventId) }),
    },
    signal: AbortSignal.timeout(STREAM_MAX_MS),
  })
  if (response.status !== 200 || response.body === null) {
    throw new Error(`the event stream answered ${response.status}: ${await response.text()}`)
  }
  let text = ''
  for await (const chunk of response.body.pipeThrough(new TextDecoderStream())) {
    text += chunk
    const blocks = text.split('\n\n')
    text = blocks.pop() ?? ''
    for (const block of blocks) {
      const lines = block.split('\n')
      const data = lines.filter((line) => line.startsWith('data:')).map((line) => line.slice(5))
      if (data.length > 0) yield JSON.parse(data.join('\n')) as JobEvent
    }
  }
}
