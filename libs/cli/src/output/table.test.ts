import assert from 'node:assert/strict'
import { test } from 'node:test'
import { formatMs } from './format-time.ts'
import { colored, stateCell } from './paint.ts'
import { formatTable } from './table.ts'

test('columns are as wide as they need, colors do not count, and nothing is left blank', () => {
  const rows = [
    ['a', stateCell('failed'), null],
    ['long name', 'x', 3],
  ]
  assert.equal(
    formatTable(['NAME', 'S', 'N'], rows).replaceAll(' ', '.'),
    ['NAME.......S.......N', 'a..........failed..-', 'long.name..x.......3'].join('\n'),
  )
  const painted = formatTable(['NAME', 'S', 'N'], rows, colored).split('\n')[1]
  assert.equal(painted, 'a          \u001b[31mfailed\u001b[39m  -')
})

test('what comes from outside cannot steer the terminal', () => {
  const text = formatTable(['N'], [['a\u001b[2J\nb\u009b1m']])
  assert.equal(text, 'N\na [2J b 1m')
})

test('durations are told in the unit that fits', () => {
  const told = [0.04, 3.14, 999, 1_500, 119_000, 125_000, 7_200_000, 180_000_000].map(formatMs)
  assert.deepEqual(told, ['0 ms', '3.1 ms', '999 ms', '1.5 s', '119 s', '2 min', '2 h', '2 d'])
})
