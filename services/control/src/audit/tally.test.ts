import assert from 'node:assert/strict'
import test from 'node:test'
import { createTally, type Noted } from './tally.ts'

const limits = { windowMs: 60_000, keysMax: 100, groupKeysMax: 3 }

test('the first is told at once, the others of its minute in one word at the end', () => {
  const tally = createTally<string>(limits)
  assert.equal(tally.note('acme', 'a', 'one', 0), 'first')
  assert.equal(tally.note('acme', 'a', 'two', 10), 'counted')
  assert.equal(tally.note('acme', 'a', 'three', 59_000), 'counted')
  assert.deepEqual(tally.due(59_999), [])
  const told = { group: 'acme', entry: 'three', count: 2, fromMs: 10, toMs: 59_000 }
  assert.deepEqual(tally.due(60_000), [told])
})

test('a flood of any length is one word a minute, and its end is forgotten', () => {
  const tally = createTally<number>(limits)
  let words = 0
  for (let ms = 0; ms < 600_000; ms += 100) {
    if (tally.note('acme', 'a', ms, ms) === 'first') words += 1
    words += tally.due(ms).length
  }
  words += tally.due(660_000).length
  assert.ok(words >= 10 && words <= 12, `${words} words`)
  assert.deepEqual(tally.due(720_000), [])
  assert.equal(tally.note('acme', 'a', 0, 720_001), 'first')
})

test('no more keys are told apart than there is room for, and one group leaves the others theirs', () => {
  const tally = createTally<string>({ ...limits, keysMax: 6 })
  const noted: Noted[] = []
  for (let at = 0; at < 5; at += 1) noted.push(tally.note('acme', `a${at}`, 'x', 5))
  assert.deepEqual(noted, ['first', 'first', 'first', 'crowded', 'crowded'])
  assert.equal(tally.note('rival', 'a', 'x', 5), 'first')
  assert.equal(tally.note('rival', 'b', 'x', 5), 'first')
  assert.equal(tally.note('rival', 'c', 'x', 5), 'lost')
  const rest = { group: 'acme', entry: undefined, count: 2, fromMs: 5, toMs: 5 }
  assert.deepEqual(tally.due(60_005), [rest])
  assert.equal(tally.due(120_010).length, 0)
  assert.equal(tally.note('rival', 'c', 'x', 120_011), 'first')
})

test('what is left at the end is told, and nothing twice', () => {
  const tally = createTally<string>(limits)
  tally.note('acme', 'a', 'one', 0)
  assert.deepEqual(tally.drain(), [])
  tally.note('acme', 'a', 'one', 0)
  tally.note('acme', 'a', 'two', 1)
  assert.equal(tally.drain().length, 1)
  assert.deepEqual(tally.drain(), [])
})
