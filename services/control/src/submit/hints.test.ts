import assert from 'node:assert/strict'
import test from 'node:test'
import { createHints } from './hints.ts'

test('hints are counted together while one is under way, and a lost one does no harm', async () => {
  const sent: string[] = []
  const gates: PromiseWithResolvers<void>[] = []
  const hint = createHints((value) => {
    sent.push(value)
    const gate = Promise.withResolvers<void>()
    gates.push(gate)
    return gate.promise
  })
  hint(1)
  hint(2)
  hint(3)
  assert.equal(sent.length, 1)
  gates[0]?.reject(new Error('the broker is away'))
  while (sent.length < 2) await new Promise(setImmediate)
  assert.deepEqual(
    sent.map((text) => JSON.parse(text).count),
    [1, 5],
  )
  gates[1]?.resolve()
  await new Promise(setImmediate)
  hint(1)
  assert.equal(sent.length, 3)
})
