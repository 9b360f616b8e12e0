import assert from 'node:assert/strict'
import test from 'node:test'
import { createNextFlight } from './next-flight.ts'

test('who asks while a look-up is under way shares the next one, never the old one', async () => {
  let looks = 0
  const gates: (() => void)[] = []
  const look = createNextFlight(async () => {
    const number = ++looks
    await new Promise<void>((resolve) => gates.push(resolve))
    return number
  })
  const first = look('a')
  const later = [look('a'), look('a')]
  gates[0]?.()
  assert.equal(await first, 1)
  while (gates.length < 2) await new Promise(setImmediate)
  gates[1]?.()
  assert.deepEqual(await Promise.all(later), [2, 2])
})

test('a look-up that fails does not fail those behind it', async () => {
  let looks = 0
  const look = createNextFlight(async () => {
    if (++looks === 1) throw new Error('away')
    return looks
  })
  const first = look('a')
  const second = look('a')
  await assert.rejects(first, /away/)
  assert.equal(await second, 2)
  assert.equal(await look('a'), 3)
})
