import assert from 'node:assert/strict'
import test from 'node:test'
import { type ErrorCode, WeirError } from '@weir/contracts'
import { parseYaml } from './yaml-document.ts'

const parse = (text: string) => parseYaml(Buffer.from(text))

function refuses(text: string, code: ErrorCode = 'invalid_request') {
  const start = performance.now()
  assert.throws(
    () => parse(text),
    (error) => WeirError.is(error) && error.code === code,
    text.slice(0, 40),
  )
  // What expands without end takes for ever, not just long on a machine that is short of time.
  assert.ok(performance.now() - start < 10_000, `took long: ${text.slice(0, 40)}`)
}

test('a document of plain values is read', () => {
  assert.deepEqual(parse('steps:\n  a: { stage: a@1, after: [ { step: b, each: true } ] }\n'), {
    steps: { a: { stage: 'a@1', after: [{ step: 'b', each: true }] } },
  })
  assert.deepEqual(parse('day: 2020-01-01'), { day: '2020-01-01' })
})

test('nesting that would overflow the composer is refused before it gets there', () => {
  for (const unit of ['- ', '[', '? ', '{a: ']) refuses(unit.repeat(100_000))
  refuses(Array.from({ length: 600 }, (_, depth) => `${' '.repeat(depth)}a:`).join('\n'))
  assert.ok(parse(`${'- '.repeat(31)}1`))
})

test('aliases that expand without end, or into themselves, are refused', () => {
  const lines = ['a: &a [x, x, x, x, x, x, x, x, x]']
  for (const [one, next] of ['ab', 'bc', 'cd', 'de', 'ef', 'fg', 'gh', 'hi']) {
    lines.push(`${next}: &${next} [${Array(9).fill(`*${one}`)}]`)
  }
  refuses(lines.join('\n'))
  refuses('a: &a\n  b: *a\n')
})

test('equal keys are found, also among thousands', () => {
  refuses('a: 1\na: 2')
  refuses('{ 1: a, "1": b }')
  const keys = Array.from({ length: 5_000 }, (_, index) => `k${index}: 1`)
  refuses(`${keys.join('\n')}\nk0: 1`)
})

test('tags, several documents, what JSON does not know and what is no YAML are refused', () => {
  for (const text of ['!!js/function x', 'a: !!binary aGk=', 'a: 1\n---\nb: 1', 'a: .nan']) {
    refuses(text)
  }
  for (const text of [
    '__proto__: { a: 1 }',
    'a: "\\0"',
    'a: [',
    '? {a: 1}\n: 2',
    '%'.repeat(9_999),
  ]) {
    refuses(text)
  }
})

test('a document of more tokens than any pipeline has is refused', () => {
  refuses('a,'.repeat(100_000).replace(/^/, '['), 'payload_too_large')
  refuses('"'.repeat(200_000), 'payload_too_large')
})
