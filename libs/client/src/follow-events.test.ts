import assert from 'node:assert/strict'
import type { ServerResponse } from 'node:http'
import { test } from 'node:test'
import type { JobEvent } from '@weir/contracts'
import { problem, startServer } from '../test/support.ts'
import { createClient } from './client.ts'

const types = ['job.queued', 'job.dispatched', 'task.completed', 'job.completed'] as const

function stream(response: ServerResponse, from: number, to: number): void {
  if (!response.headersSent) response.writeHead(200, { 'content-type': 'text/event-stream' })
  for (let seq = from; seq <= to; seq += 1) {
    const event = { seq, run: 1, type: types[seq - 1], at: '2026-01-01T00:00:00.000Z', data: {} }
    response.write(`id: ${seq}\ndata: ${JSON.stringify(event)}\n\n`)
  }
}

async function collect(events: AsyncIterable<JobEvent>): Promise<number[]> {
  const seqs: number[] = []
  for await (const { seq } of events) seqs.push(seq)
  return seqs
}

test('after a broken connection events go on after the last one, none lost and none doubled', async (t) => {
  const { baseUrl, requests } = await startServer(t, (_request, response) => {
    if (requests.length === 1) {
      stream(response, 1, 2)
      // Half of an event: it has not been given, so it comes again.
      response.write('id: 3\ndata: {"se', () => response.destroy())
    } else if (requests.length === 2) {
      return problem(503, 'unavailable', {}, { 'retry-after': '0' })
    } else {
      // One more than was asked for: a proxy may repeat what it has kept.
      stream(response, 2, 4)
      response.end()
    }
    return undefined
  })
  assert.deepEqual(await collect(createClient({ baseUrl }).jobs.follow('j')), [1, 2, 3, 4])
  assert.equal(requests[0]?.headers['last-event-id'], undefined)
  assert.equal(requests[2]?.headers['last-event-id'], '2')
})

test('a stream that is closed between two events is opened again', async (t) => {
  const { baseUrl, requests } = await startServer(t, (_request, response) => {
    stream(response, requests.length, requests.length)
    response.end()
    return undefined
  })
  assert.deepEqual(await collect(createClient({ baseUrl }).jobs.follow('j')), [1, 2, 3, 4])
})

test('a connection that falls silent is given up and opened again', async (t) => {
  const { baseUrl, requests } = await startServer(t, (_request, response) => {
    stream(response, 1, requests.length === 1 ? 2 : 4)
    if (requests.length > 1) response.end()
    return undefined
  })
  const events = createClient({ baseUrl }).jobs.follow('j', { idleMs: 50 })
  assert.deepEqual(await collect(events), [1, 2, 3, 4])
})

test('following from behind the terminal event gives nothing and ends', async (t) => {
  const { baseUrl, requests } = await startServer(t, ({ url }, response) => {
    if (!url.includes('/events')) return { body: { status: 'completed' } }
    stream(response, 1, 0)
    response.end()
    return undefined
  })
  assert.deepEqual(await collect(createClient({ baseUrl }).jobs.follow('j', { after: 4 })), [])
  assert.equal(requests.length, 2)
})

test('a job that is not there is an error at once', async (t) => {
  const { baseUrl, requests } = await startServer(t, () => problem(404, 'not_found'))
  await assert.rejects(collect(createClient({ baseUrl }).jobs.follow('j')), { code: 'not_found' })
  assert.equal(requests.length, 1)
})

test('following is given up after a number of connections that brought nothing', async (t) => {
  const { baseUrl, requests } = await startServer(t, ({ url }, response) => {
    if (!url.includes('/events')) return { body: { status: 'running' } }
    stream(response, 1, 0)
    response.end()
    return undefined
  })
  const events = createClient({ baseUrl }).jobs.follow('j', { attempts: 2 })
  await assert.rejects(collect(events), { code: 'unreachable' })
  assert.equal(requests.filter(({ url }) => url.includes('/events')).length, 2)
})

test('who stops listening closes the connection', async (t) => {
  const closed = Promise.withResolvers<void>()
  const { baseUrl } = await startServer(t, (_request, response) => {
    response.on('close', () => closed.resolve())
    stream(response, 1, 2)
    return undefined
  })
  for await (const event of createClient({ baseUrl }).jobs.follow('j')) if (event.seq === 2) break
  await closed.promise
})

test('a signal ends following with its reason', async (t) => {
  const { baseUrl } = await startServer(t, (_request, response) => {
    stream(response, 1, 1)
    return undefined
  })
  const stop = new AbortController()
  const events = createClient({ baseUrl }).jobs.follow('j', { signal: stop.signal })
  const reading = (async () => {
    for await (const _ of events) stop.abort(new Error('enough'))
  })()
  await assert.rejects(reading, /enough/)
})
