import assert from 'node:assert/strict'
import test from 'node:test'
import { WeirError } from '@weir/contracts'
import { checkIfMatch } from './if-match.ts'

test('a publish passes without a guard, and while the named version is current', () => {
  for (const header of [undefined, '"3"', '*', '"1", "3"']) checkIfMatch(header, 3)
  checkIfMatch(undefined, 0)
})

test('a publish fails where another version is current, or none', () => {
  for (const [header, current] of [
    ['"2"', 3],
    ['3', 3],
    ['W/"3"', 3],
    ['*', 0],
    ['"0"', 0],
  ] as const) {
    assert.throws(
      () => checkIfMatch(header, current),
      (error) => WeirError.is(error) && error.code === 'version_conflict',
    )
  }
})
