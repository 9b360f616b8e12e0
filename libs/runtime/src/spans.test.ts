import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  formatTraceparent,
  isSampled,
  parseTraceparent,
  startSpan,
  traceparentOf,
} from './spans.ts'

const TRACE = '4bf92f3577b34da6a3ce929d0e0e4736'
const SPAN = '00f067aa0ba902b7'
const SAMPLED = `00-${TRACE}-${SPAN}-01`

test('a traceparent is read and written as it was', () => {
  const parsed = parseTraceparent(SAMPLED)
  assert.deepEqual(parsed, { traceId: TRACE, spanId: SPAN, traceFlags: 1, isRemote: true })
  assert.equal(parsed && formatTraceparent(parsed), SAMPLED)
})

test('what is no traceparent is none', () => {
  const wrong = [
    undefined,
    '',
    SAMPLED.slice(0, -1),
    `${SAMPLED}0`,
    `ff-${TRACE}-${SPAN}-01`,
    `00-${'0'.repeat(32)}-${SPAN}-01`,
    `00-${TRACE}-${'0'.repeat(16)}-01`,
    `00-${TRACE.toUpperCase()}-${SPAN}-01`,
    `00_${TRACE}-${SPAN}-01`,
    `01-${TRACE}-${SPAN}-01x`,
  ]
  for (const text of wrong) assert.equal(parseTraceparent(text), undefined, text)
  assert.ok(parseTraceparent(`01-${TRACE}-${SPAN}-01-more`), 'a later version may say more')
})

test('the sampled flag is the lowest bit of the flags', () => {
  assert.equal(isSampled(undefined), false)
  for (const [flags, expected] of [
    ['00', false],
    ['01', true],
    ['02', false],
    ['03', true],
    ['0a', false],
    ['0f', true],
    ['ff', true],
  ] as const) {
    assert.equal(isSampled(`00-${TRACE}-${SPAN}-${flags}`), expected, flags)
  }
})

test('without telemetry a trace passes through unchanged, and none is made up', () => {
  assert.equal(traceparentOf(startSpan('x', { parent: SAMPLED })), SAMPLED)
  assert.equal(traceparentOf(startSpan('x')), undefined)
  assert.equal(traceparentOf(startSpan('x', { parent: 'nonsense' })), undefined)
})
