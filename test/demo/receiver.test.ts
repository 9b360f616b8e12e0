import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { startReceiver } from './receiver.ts'

const receiver = await startReceiver()
after(() => receiver.close())

const post = async (key: string | undefined, body: string) => {
  const headers: Record<string, string> = key === undefined ? {} : { 'idempotency-key': key }
  return (await fetch(receiver.url, { method: 'POST', headers, body })).status
}

test('what comes again under its key is counted and kept once', async () => {
  assert.deepEqual(
    [await post('a', '1'), await post('a', '1'), await post('b', '2'), await post('a', '1')],
    [201, 200, 201, 200],
  )
  assert.deepEqual(
    [...receiver.deliveries.values()],
    [
      { key: 'a', body: '1', count: 3 },
      { key: 'b', body: '2', count: 1 },
    ],
  )
})

test('no key, another body under a key, and a huge body are refused', async () => {
  assert.equal(await post(undefined, '1'), 400)
  assert.equal(await post('a', 'other'), 409)
  assert.equal(await post('c', 'x'.repeat(100_000)), 413)
  assert.equal((await fetch(receiver.url)).status, 405)
})
