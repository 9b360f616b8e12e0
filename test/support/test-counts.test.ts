import assert from 'node:assert/strict'
import { test } from 'node:test'
import { formatCounts, readCounts } from './test-counts.ts'

test('the numbers of several runs are given as one, in the words of the test runner', () => {
  const one = { tests: 5, passed: 3, failed: 1, cancelled: 0, skipped: 1, todo: 0 }
  assert.equal(
    formatCounts([one, { ...one, tests: 2, passed: 2, failed: 0, skipped: 0 }]),
    '# tests 7\n# pass 5\n# fail 1\n# cancelled 0\n# skipped 1\n# todo 0',
  )
})

test('a run that died without a word counts as a failure', () => {
  assert.equal(readCounts('/nowhere/counts.json').failed, 1)
})
