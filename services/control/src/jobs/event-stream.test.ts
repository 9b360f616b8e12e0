import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, get, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { test } from 'node:test'
import type { JobEvent } from '@weir/contracts'
import { until } from '../../../../test/support/until.ts'
import type { Reply } from '../http/type-provider.ts'
import { type EventPage, streamEvents } from './event-stream.ts'

const EVENTS = 20_000
const PAGE = 100

const eventOf = (seq: number): JobEvent => ({
  seq,
  run: 1,
  type: 'task.completed',
  at: new Date(0).toISOString(),
  step: 'a',
  data: { output: 'x'.repeat(1_000) },
})

/** A log of 20 MB, of which each page that is read is counted. */
function makeLog() {
  let pages = 0
  const load = async (after: number): Promise<EventPage> => {
    pages += 1
    const count = Math.min(PAGE, EVENTS - after)
    const isLast = after + count === EVENTS
    const events = Array.from({ length: count }, (_, n) => eventOf(after + n + 1))
    return { events, hasMore: !isLast, hasEnded: isLast }
  }
  return { load, pages: () => pages }
}

test('a reader that does not read holds a page, and gets all of the log when it reads', async () => {
  const log = makeLog()
  let raw: ServerResponse | undefined
  const server = createServer((_request, response) => {
    raw = response
    const reply = { raw: response, hijack() {}, getHeaders: () => ({}) } as unknown as Reply
    const gone = new AbortController()
    response.once('close', () => gone.abort())
    void streamEvents(reply, {
      after: 0,
      signal: gone.signal,
      show: (event) => event,
      load: log.load,
      changed: (look) => look(),
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  try {
    const { port } = server.address() as AddressInfo
    const request = get({ host: '127.0.0.1', port })
    const [response] = (await once(request, 'response')) as [IncomingMessage]
    await until('a connection that is full', () => raw?.writableNeedDrain)
    assert.ok(log.pages() < EVENTS / PAGE / 2, `${log.pages()} pages were read for nobody`)
    const buffered = raw?.writableLength ?? 0
    assert.ok(buffered < 1024 * 1024, `${buffered} bytes wait in memory`)

    let text = ''
    const numbers: number[] = []
    response.setEncoding('utf8')
    for await (const part of response) {
      const frames = (text + part).split('\n\n')
      text = frames.pop() ?? ''
      for (const frame of frames) {
        const id = /^id: (\d+)$/m.exec(frame)?.[1]
        if (id !== undefined) numbers.push(Number(id))
      }
    }
    assert.equal(numbers.length, EVENTS)
    assert.ok(numbers.every((seq, at) => seq === at + 1))
  } finally {
    server.closeAllConnections()
    server.close()
  }
})
