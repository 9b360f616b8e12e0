import assert from 'node:assert/strict'
import { test } from 'node:test'
import { testStage } from '@weir/sdk'
import { alert } from './stage.ts'

test('an alert names the flight and its delay', async () => {
  const flight = { date: '2001/01/01 00:47', delay: 66, origin: 'DTW', destination: 'LAS' }
  const { outcome } = await testStage(alert).run({ ...flight, km: 2816, isLate: true })
  assert.deepEqual(outcome.status === 'ok' && outcome.output, {
    flight: '2001/01/01 00:47 DTW-LAS',
    delayMin: 66,
  })
})
