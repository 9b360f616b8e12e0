import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { readSse, type SseEvent } from './read-sse.ts'

async function read(chunks: readonly Uint8Array[]): Promise<SseEvent[]> {
  const events: SseEvent[] = []
  for await (const event of readSse(chunks)) events.push(event)
  return events
}

const text =
  ': hello\r\n\r\nid: 1\nevent: job\ndata: {"a":\ndata: "ü"}\n\nid: 2\rdata:x\r\rdata: cut'

const expected = [
  { event: 'comment', data: '', id: '' },
  { event: 'job', data: '{"a":\n"ü"}', id: '1' },
  { event: 'message', data: 'x', id: '2' },
]

test('fields, comments, lines of several kinds and a cut-off end are read as the standard says', async () => {
  assert.deepEqual(await read([Buffer.from(text)]), expected)
})

test('how the bytes are cut into chunks makes no difference', async () => {
  const bytes = Buffer.from(text)
  await fc.assert(
    fc.asyncProperty(fc.array(fc.nat(bytes.length), { maxLength: 12 }), async (cuts) => {
      const points = [0, ...cuts.toSorted((a, b) => a - b), bytes.length]
      const chunks = points.slice(1).map((end, at) => bytes.subarray(points[at], end))
      assert.deepEqual(await read(chunks), expected)
    }),
  )
})

test('a line without an end is bounded', async () => {
  const chunk = Buffer.alloc(3 * 1024 * 1024, 'x')
  await assert.rejects(read([chunk, chunk]), /exceeds/)
})
