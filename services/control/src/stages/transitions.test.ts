import assert from 'node:assert/strict'
import test from 'node:test'
import { STAGE_STATES, WeirError } from '@weir/contracts'
import { nextState, OPERATIONS, transitions } from './transitions.ts'

test('every state answers every operation: with its next state, or with what it allows', () => {
  const allowed: string[] = []
  for (const state of STAGE_STATES) {
    for (const operation of OPERATIONS) {
      try {
        allowed.push(`${state} ${operation} ${nextState(state, operation)}`)
      } catch (error) {
        assert.ok(WeirError.is(error) && error.code === 'invalid_transition')
        assert.deepEqual(error.members, { state, allowed: Object.keys(transitions[state]) })
      }
    }
  }
  assert.deepEqual(allowed, [
    'created terminate terminating',
    'launched activate active',
    'launched terminate terminating',
    'active deactivate deactivated',
    'active terminate terminating',
    'deactivated reactivate active',
    'deactivated terminate terminating',
  ])
})
