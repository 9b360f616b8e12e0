import assert from 'node:assert/strict'
import test from 'node:test'
import { newUuid, WeirError } from '@weir/contracts'
import { formatCursor, parseCursor } from './cursor.ts'

test('a cursor leads back to its id', () => {
  const id = newUuid()
  assert.equal(parseCursor(formatCursor(id)), id)
})

test('forged and broken cursors are refused', () => {
  const cursor = formatCursor(newUuid())
  for (const forged of [
    '',
    'x',
    `${cursor}A`,
    cursor.slice(1),
    `${cursor}==`,
    "' or 1=1 --",
    newUuid(),
  ]) {
    assert.throws(
      () => parseCursor(forged),
      (error) => WeirError.is(error) && error.code === 'invalid_request',
    )
  }
})
