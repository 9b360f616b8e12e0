import assert from 'node:assert/strict'
import test, { after, before } from 'node:test'
import {
  createLedger,
  createWithPipeline,
  eventsOfRun,
  type Installation,
  type Instance,
  type Tenant,
} from './support.ts'

let installation: Installation
let api: Instance
let acme: Tenant
let ledger: ReturnType<typeof createLedger>

before(async () => {
  ;({ installation, api, acme } = await createWithPipeline('p'))
  ledger = createLedger(installation, api)
})
after(() => installation.stop())

type Seen = { readonly id: number; readonly type: string }

/** Reads a stream until `enough` says so or it ends; what it read, and whether it ended by itself. */
async function follow(
  job: string,
  headers: Record<string, string>,
  enough: (seen: readonly Seen[]) => boolean = () => false,
  onEvent: (seen: readonly Seen[]) => void = () => {},
): Promise<{ seen: Seen[]; hasEnded: boolean }> {
  const response = await fetch(`${api.url}/v1/jobs/${job}/events`, {
    headers: { authorization: `Bearer ${acme.key}`, accept: 'text/event-stream', ...headers },
    signal: AbortSignal.timeout(10_000),
  })
  assert.equal(response.status, 200)
  assert.match(response.headers.get('content-type') ?? '', /^text\/event-stream/)
  const seen: Seen[] = []
  let text = ''
  const decoder = new TextDecoder()
  for await (const part of response.body as AsyncIterable<Uint8Array>) {
    text += decoder.decode(part, { stream: true })
    const frames = text.split('\n\n')
    text = frames.pop() ?? ''
    for (const frame of frames) {
      const id = /^id: (\d+)$/m.exec(frame)?.[1]
      const type = /^event: (\S+)$/m.exec(frame)?.[1]
      if (id === undefined || type === undefined) continue
      seen.push({ id: Number(id), type })
      onEvent(seen)
    }
    // Leaving the loop closes the connection.
    if (enough(seen)) return { seen, hasEnded: false }
  }
  return { seen, hasEnded: true }
}

const submit = async () =>
  (await api.call('POST', '/v1/pipelines/p/jobs', { key: acme.key, body: { input: 1 } })).body

test('a stream shows what happens as it happens and ends after the terminal event', async () => {
  const { id, submittedAt } = await submit()
  const [queued, dispatched, done, end] = eventsOfRun(submittedAt) as { seq: number }[]
  const { seen, hasEnded } = await follow(id, {}, undefined, (events) => {
    const last = events.at(-1)
    if (last?.id === 1) void ledger.claim(id).then(() => ledger.announce(id, 2, false))
    if (last?.id === 2) {
      void ledger
        .log(id, [queued, dispatched, done] as { seq: number }[])
        .then(() => ledger.announce(id, 3, false))
    }
    if (last?.id === 3) {
      void ledger.end(id, [end] as { seq: number }[]).then(() => ledger.announce(id, 4, true))
    }
  })
  assert.equal(hasEnded, true)
  assert.deepEqual(seen, [
    { id: 1, type: 'job.queued' },
    { id: 2, type: 'job.dispatched' },
    { id: 3, type: 'task.completed' },
    { id: 4, type: 'job.completed' },
  ])
})

test('a stream that broke is resumed from the last event without a gap or a double', async () => {
  const { id, submittedAt } = await submit()
  await ledger.claim(id)
  const at = new Date().toISOString()
  const [queued, dispatched] = eventsOfRun(submittedAt) as { seq: number }[]
  const middle = Array.from({ length: 40 }, (_, n) => ({
    seq: n + 3,
    run: 1,
    type: 'task.started',
    at,
    step: 'a',
    attempt: n + 1,
    data: {},
  }))
  const end = { seq: 43, run: 1, type: 'job.failed', at, data: {} }
  const all: Seen[] = []
  const headers = (): Record<string, string> =>
    all.length === 0 ? {} : { 'last-event-id': String(all.at(-1)?.id) }
  all.push(...(await follow(id, headers(), (seen) => seen.length === 2)).seen)
  await ledger.log(id, [queued, dispatched, ...middle.slice(0, 10)] as { seq: number }[])
  all.push(...(await follow(id, headers(), (seen) => seen.length >= 4)).seen.slice(0, 4))
  await ledger.log(id, middle.slice(10))
  all.push(...(await follow(id, headers(), (seen) => seen.length >= 9)).seen.slice(0, 9))
  await ledger.end(id, [end], 'failed')
  const rest = await follow(id, headers())
  all.push(...rest.seen)
  assert.equal(rest.hasEnded, true)
  assert.deepEqual(
    all.map((event) => event.id),
    Array.from({ length: 43 }, (_, n) => n + 1),
  )
  const nothing = await follow(id, { 'last-event-id': '43' })
  assert.deepEqual(nothing, { seen: [], hasEnded: true })
})

test('a log of more chunks than are read at once is streamed whole', async () => {
  const { id, submittedAt } = await submit()
  await ledger.claim(id)
  const at = new Date().toISOString()
  const [queued, dispatched] = eventsOfRun(submittedAt) as { seq: number }[]
  await ledger.log(id, [queued, dispatched] as { seq: number }[])
  for (let seq = 3; seq <= 30; seq += 1) {
    const event = {
      seq,
      run: 1,
      type: 'task.started',
      at,
      step: 'a',
      attempt: seq,
      data: {},
    }
    await ledger.log(id, [event])
  }
  const end = { seq: 31, run: 1, type: 'job.failed', at, data: {} }
  await ledger.end(id, [end], 'failed')
  for (const after of [0, 3, 29, 30]) {
    const headers: Record<string, string> = after === 0 ? {} : { 'last-event-id': String(after) }
    const { seen, hasEnded } = await follow(id, headers)
    assert.equal(hasEnded, true)
    assert.deepEqual(
      seen.map((event) => event.id),
      Array.from({ length: 31 - after }, (_, n) => after + n + 1),
    )
  }
})

test('numbers to resume from that are none are refused', async () => {
  const { id } = await submit()
  for (const last of ['x', '-1', '1.5', '99999999999']) {
    const answer = await api.call('GET', `/v1/jobs/${id}/events`, {
      key: acme.key,
      headers: { accept: 'text/event-stream', 'last-event-id': last },
    })
    assert.equal(answer.status, 400, last)
  }
})

test('a client that goes away leaves no waiter behind', async () => {
  const { id } = await submit()
  await follow(id, {}, (seen) => seen.length === 1)
  const end = performance.now() + 5_000
  while (api.control.waiters.size() > 0 && performance.now() < end) {
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
  assert.equal(api.control.waiters.size(), 0)
})
