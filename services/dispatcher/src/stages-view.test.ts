import assert from 'node:assert/strict'
import { test } from 'node:test'
import { stageKey } from '@weir/contracts'
import { createStagesView } from './stages-view.ts'

function start(limit: number | undefined) {
  const gate = { limit }
  const view = createStagesView({ limitOf: () => gate.limit })
  const want = (state: string, inFlightMax = 100, rowVersion = 1) =>
    view.read([
      {
        key: Buffer.from(stageKey('a@1')),
        value: Buffer.from(JSON.stringify({ ref: 'a@1', state, inFlightMax, rowVersion })),
      },
    ] as never)
  return { gate, view, want }
}

test('the gate says how much may be in flight, within what the operator allows', () => {
  const { gate, view, want } = start(40)
  want('active')
  assert.equal(view.limitOf('a@1'), 40)
  gate.limit = 0
  assert.equal(view.limitOf('a@1'), 0)
  gate.limit = 1_000
  assert.equal(view.limitOf('a@1'), 100)
})

test('a gate opens no stage that is not active, and none that nobody knows', () => {
  const { view, want } = start(40)
  assert.equal(view.limitOf('a@1'), 0)
  want('deactivated')
  assert.equal(view.limitOf('a@1'), 0)
})

test('a stage that nobody has measured yet gets a little, not all', () => {
  const { view, want } = start(undefined)
  want('active')
  assert.equal(view.limitOf('a@1'), 16)
  want('active', 5, 2)
  assert.equal(view.limitOf('a@1'), 5)
})
