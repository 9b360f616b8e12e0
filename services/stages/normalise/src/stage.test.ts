import assert from 'node:assert/strict'
import { test } from 'node:test'
import { testStage } from '@weir/sdk'
import { normalise } from './stage.ts'

const run = async (input: unknown) => (await testStage(normalise).run(input)).outcome

test('values are stretched to the range from 0 to 1', async () => {
  const outcome = await run({ values: [1, 2, 3, 4, 5] })
  assert.equal(outcome.status === 'ok' && outcome.json, '{"values":[0,0.25,0.5,0.75,1]}')
})

test('constant input fails for good, with a code', async () => {
  for (const values of [[5, 5, 5], [0]]) {
    const outcome = await run({ values })
    assert.equal(outcome.status, 'fail')
    assert.equal(outcome.error.code, 'constant_input')
    assert.equal(outcome.error.class, 'permanent')
  }
})

test('what is no list of numbers is refused, and so is a range that numbers cannot hold', async () => {
  for (const input of [
    {},
    { values: [] },
    { values: ['1'] },
    [1, 2],
    { values: [-1e308, 1e308] },
  ]) {
    const outcome = await run(input)
    assert.equal(outcome.status === 'fail' && outcome.error.class, 'contract')
  }
})
