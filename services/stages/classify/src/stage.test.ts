import assert from 'node:assert/strict'
import { test } from 'node:test'
import { testStage } from '@weir/sdk'
import { classify } from './stage.ts'

for (const [delay, branches] of [
  [-5, ['all']],
  [15, ['all']],
  [16, ['all', 'late']],
] as const) {
  test(`a delay of ${delay} minutes takes ${branches.join(' and ')}`, async () => {
    const flight = { date: '2001/01/01 00:47', delay, origin: 'DTW', destination: 'LAS', km: 2816 }
    const { outcome } = await testStage(classify).run({ ...flight, distance: 1750 })
    assert.equal(outcome.status, 'ok')
    assert.deepEqual(outcome.taken, branches)
    assert.deepEqual(outcome.output, { ...flight, isLate: branches.length === 2 })
  })
}
