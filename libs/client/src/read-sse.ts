export type SseEvent = {
  readonly event: string
  readonly data: string
  /** The last id that the stream has given, as the standard has it. */
  readonly id: string
}

const LINE_MAX = 4 * 1024 * 1024

/**
 * Events of a `text/event-stream` body (WHATWG HTML §9.2), as they come. A comment, which servers
 * send to keep a connection open, gives an event `comment` without data. An event that the end of
 * the body cuts off is not given. A line is bounded by 4 MiB; beyond it the stream fails.
 */
export async function* readSse(
  body: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
): AsyncGenerator<SseEvent> {
  const decoder = new TextDecoder()
  let rest = ''
  let event = ''
  let data: string[] = []
  let id = ''
  for await (const chunk of body) {
    rest += decoder.decode(chunk, { stream: true })
    // A CR at the end may be the first half of a CRLF.
    const usable = rest.endsWith('\r') ? rest.length - 1 : rest.length
    const lines = rest.slice(0, usable).split(/\r\n|\n|\r/)
    rest = (lines.pop() as string) + rest.slice(usable)
    if (rest.length > LINE_MAX) throw new Error(`a line of the event stream exceeds ${LINE_MAX}`)
    for (const line of lines) {
      if (line === '') {
        if (data.length > 0)
          yield { event: event === '' ? 'message' : event, data: data.join('\n'), id }
        event = ''
        data = []
        continue
      }
      const colon = line.indexOf(':')
      if (colon === 0) {
        yield { event: 'comment', data: '', id }
        continue
      }
      const field = colon === -1 ? line : line.slice(0, colon)
      const value = colon === -1 ? '' : line.slice(colon + 1).replace(/^ /, '')
      if (field === 'event') event = value
      else if (field === 'data') data.push(value)
      else if (field === 'id' && !value.includes('\0')) id = value
    }
  }
}
