import assert from 'node:assert/strict'
import { test } from 'node:test'
import { testStage } from '@weir/sdk'
import { summarise } from './stage.ts'

const flight = (origin: string, delay: number, km = 100) => ({
  date: '2001/01/01 00:47',
  delay,
  origin,
  destination: 'LAS',
  km,
  isLate: delay > 15,
})

test('a day is summed up, whatever the order of its flights', async () => {
  const flights = [flight('SEA', 20), flight('ABQ', 40, 7), flight('SEA', 21), flight('DTW', -4)]
  for (const input of [flights, flights.toReversed()]) {
    const { outcome } = await testStage(summarise).run(input)
    assert.deepEqual(outcome.status === 'ok' && outcome.output, {
      date: '2001-01-01',
      flights: 4,
      late: 3,
      meanDelay: 19.25,
      km: 307,
      worstRoute: { route: 'SEA-LAS', flights: 2, delay: 41 },
    })
  }
})

test('of equally bad routes the first by name is named', async () => {
  const { outcome } = await testStage(summarise).run([flight('SEA', 9), flight('ABQ', 9)])
  assert.match(outcome.status === 'ok' ? outcome.json : '', /"route":"ABQ-LAS"/)
})

test('a day without flights has no row', async () => {
  const { outcome } = await testStage(summarise).run([])
  assert.equal(outcome.status === 'fail' && outcome.error.code, 'no_flights')
})
