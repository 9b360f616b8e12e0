import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { diffLines, keepContext } from './diff-lines.ts'

const lines = fc.array(fc.constantFrom('a', 'b', 'c', 'd'), { maxLength: 12 })

const side = (diff: readonly string[], mark: string) =>
  diff.filter((line) => line.startsWith(' ') || line.startsWith(mark)).map((line) => line.slice(1))

test('both sides can be read back from a difference, and equal texts have none', () => {
  fc.assert(
    fc.property(lines, lines, (before, after) => {
      const diff = diffLines(before, after)
      if (before.join() === after.join()) return assert.deepEqual(diff, [])
      assert.deepEqual(side(diff, '-'), before)
      assert.deepEqual(side(diff, '+'), after)
    }),
  )
})

test('what is equal on both sides is not marked', () => {
  assert.deepEqual(diffLines(['a', 'b', 'c', 'd'], ['a', 'c', 'x', 'd']), [
    ' a',
    '-b',
    ' c',
    '+x',
    ' d',
  ])
})

test('far from a difference lines are left out', () => {
  const many = Array.from({ length: 20 }, (_, at) => ` ${at}`)
  const kept = keepContext([...many, '+x', ...many], 2)
  assert.deepEqual(kept, [' …', ' 18', ' 19', '+x', ' 0', ' 1', ' …'])
})
