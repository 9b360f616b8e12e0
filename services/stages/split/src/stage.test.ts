import assert from 'node:assert/strict'
import { test } from 'node:test'
import { testStage } from '@weir/sdk'
import { split } from './stage.ts'

const flight = (time: string, origin = 'SEA') => ({
  date: `2001/01/01 ${time}`,
  delay: 3,
  distance: 100,
  origin,
  destination: 'PDX',
})
const run = async (input: unknown) => (await testStage(split).run(input)).outcome

test('flights come out in the order of departure, however they came in', async () => {
  const sorted = [flight('00:10'), flight('09:00', 'LAX'), flight('09:00', 'SEA')]
  for (const flights of [sorted, sorted.toReversed()]) {
    const outcome = await run({ date: '2001-01-01', flights })
    assert.deepEqual(outcome.status === 'ok' && outcome.output, sorted)
  }
})

test('a day without flights is an empty list', async () => {
  const outcome = await run({ date: '2001-01-01', flights: [] })
  assert.equal(outcome.status === 'ok' && outcome.json, '[]')
})

test('a flight of another day fails the task for good', async () => {
  const outcome = await run({ date: '2001-01-02', flights: [flight('00:10')] })
  assert.equal(outcome.status === 'fail' && outcome.error.code, 'wrong_day')
})
