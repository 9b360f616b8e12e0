import assert from 'node:assert/strict'
import { test } from 'node:test'
import { testStage } from '@weir/sdk'
import { mean } from './stage.ts'

test('the mean of what normalise makes of 1 to 5 is exactly 0.5', async () => {
  const { outcome } = await testStage(mean).run({ values: [0, 0.25, 0.5, 0.75, 1] })
  assert.equal(outcome.status === 'ok' && outcome.output, 0.5)
})

test('the mean of nothing is refused', async () => {
  const { outcome } = await testStage(mean).run({ values: [] })
  assert.equal(outcome.status === 'fail' && outcome.error.class, 'contract')
})
