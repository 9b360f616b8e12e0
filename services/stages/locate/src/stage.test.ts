import assert from 'node:assert/strict'
import { test } from 'node:test'
import { testStage } from '@weir/sdk'
import { parseAirports } from './airports.ts'
import { greatCircleKm } from './great-circle.ts'
import { locate } from './stage.ts'

const flight = {
  date: '2001/01/01 00:47',
  delay: 66,
  distance: 1750,
  origin: 'DTW',
  destination: 'LAS',
}
const run = async (change: object) =>
  (await testStage(locate).run({ ...flight, ...change })).outcome

test('a flight gets the kilometres between its airports', async () => {
  const outcome = await run({})
  assert.deepEqual(outcome.status === 'ok' && outcome.output, { ...flight, km: 2808 })
})

test('an unknown airport and a wrong distance fail for good', async () => {
  const unknown = await run({ destination: 'XXQ' })
  assert.equal(unknown.status === 'fail' && unknown.error.code, 'unknown_airport')
  const far = await run({ distance: 1_850 })
  assert.equal(far.status === 'fail' && far.error.code, 'distance_mismatch')
})

test('a degree along the equator and along a meridian is 111 km, half around is 20,015', () => {
  const origin = { latitude: 0, longitude: 0 }
  assert.equal(Math.round(greatCircleKm(origin, { latitude: 0, longitude: 1 })), 111)
  assert.equal(Math.round(greatCircleKm(origin, { latitude: 1, longitude: 0 })), 111)
  assert.equal(Math.round(greatCircleKm(origin, { latitude: 0, longitude: 180 })), 20_015)
  assert.equal(greatCircleKm(origin, origin), 0)
})

test('quoted names with commas and quotes do not move the columns', () => {
  const text = 'iata,name,latitude,longitude\nAAA,"Big, ""Old"" Field",1.5,-2\nBBB,,3,4\n'
  assert.deepEqual(
    [...parseAirports(text)],
    [
      ['AAA', { latitude: 1.5, longitude: -2 }],
      ['BBB', { latitude: 3, longitude: 4 }],
    ],
  )
  assert.throws(() => parseAirports('iata,latitude\nA,1'), /no column longitude/)
  assert.throws(() => parseAirports('iata,latitude,longitude\nA,x,1'), /A has no position/)
})
