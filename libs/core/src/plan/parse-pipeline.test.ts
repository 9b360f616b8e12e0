import assert from 'node:assert/strict'
import { test } from 'node:test'
import { pipelineSchema } from '@weir/contracts'
import { parsePipeline } from './parse-pipeline.ts'

const faults = (value: unknown) => {
  const parsed = parsePipeline(value)
  return 'errors' in parsed ? parsed.errors : []
}
const codes = (value: unknown) => faults(value).map(({ path, code }) => `${path} ${code}`)

test('a document of every field is accepted as it stands', () => {
  const document = {
    description: 'd',
    onFailure: 'continue',
    onOverload: 'drop_oldest',
    queueMax: 10,
    deadlineMs: 60_000,
    history: 'final',
    input: { type: 'object' },
    steps: {
      constructor: { stage: 'a@1', config: { any: [1, { thing: null }] } },
      b: {
        stage: 'b@1',
        after: ['constructor', { step: 'constructor', as: 'x', each: true, maxItems: 3 }],
        join: { policy: 'quorum', n: 1, timeoutMs: 5, onTimeout: 'partial' },
        retry: { attempts: 1, backoff: 'linear', jitter: 'decorrelated' },
        timeoutMs: 5,
      },
    },
  }
  assert.deepEqual(parsePipeline(document), { document })
})

test('each unknown field is named by a JSON pointer, with the field that was meant', () => {
  const document = {
    nonsense: 'continue',
    steps: { a: { stage: 'a@1' }, b: { stage: 'b@1', after: [{ step: 'a', eahc: true }] } },
  }
  assert.deepEqual(
    faults(document).map(({ path, code, fix }) => ({ path, code, fix })),
    [
      { path: '/nonsense', code: 'unknown_field', fix: undefined },
      { path: '/steps/b/after/0/eahc', code: 'unknown_field', fix: 'each' },
    ],
  )
})

test('wrong types, words, sizes and names are refused where they stand', () => {
  assert.deepEqual(codes(null), [' invalid_type'])
  assert.deepEqual(codes([]), [' invalid_type'])
  assert.deepEqual(codes({}), ['/steps required'])
  assert.deepEqual(codes({ steps: { a: {} } }), ['/steps/a/stage required'])
  assert.deepEqual(
    codes({
      onFailure: 'stop',
      deadlineMs: 0,
      steps: {
        'A/~': { stage: 'a@1' },
        b: { stage: 'b@1', timeoutMs: 1.5, after: [7, 'Q', { step: 'a', maxItems: 10_001 }] },
        c: { stage: 'c', retry: { attempts: 21, backoff: 'linnear' } },
      },
    }),
    [
      '/onFailure invalid_value',
      '/deadlineMs invalid_value',
      '/steps/A~1~0 invalid_name',
      '/steps/b/timeoutMs invalid_type',
      '/steps/b/after/0 invalid_type',
      '/steps/b/after/1 invalid_value',
      '/steps/b/after/2/maxItems invalid_value',
      '/steps/c/stage invalid_value',
      '/steps/c/retry/attempts invalid_value',
      '/steps/c/retry/backoff invalid_value',
    ],
  )
})

test('a document with __proto__ as a step is refused by its name', () => {
  const document: unknown = JSON.parse('{"steps":{"__proto__":{"stage":"a@1"}}}')
  assert.deepEqual(codes(document), ['/steps/__proto__ invalid_name'])
})

test('10,000 steps are refused at once with too_large', () => {
  const steps = Object.fromEntries(
    Array.from({ length: 10_000 }, (_, i) => [
      `s${i}`,
      { stage: 'a@1', after: i ? [`s${i - 1}`] : [] },
    ]),
  )
  const before = process.hrtime.bigint()
  assert.deepEqual(codes({ steps }), ['/steps too_large'])
  assert.ok(process.hrtime.bigint() - before < 1_000_000_000n)
})

test('too many edges, bytes and levels are refused with too_large', () => {
  const after = Array.from({ length: 100 }, () => 'a')
  const steps = Object.fromEntries(
    Array.from({ length: 11 }, (_, i) => [`s${i}`, { stage: 'a@1', after }]),
  )
  assert.deepEqual(codes({ steps }), ['/steps too_large'])
  const long = { steps: { a: { stage: 'a@1', config: { text: 'x'.repeat(300_000) } } } }
  assert.deepEqual(codes(long), [' too_large'])
  let deep: unknown = 1
  for (let level = 0; level < 100; level++) deep = [deep]
  assert.deepEqual(codes({ steps: { a: { stage: 'a@1', config: { deep } } } }), [' too_large'])
})

test('a structure that refers to itself over and over is not walked to its end', () => {
  let node: unknown = 'x'
  for (let level = 0; level < 25; level++) node = [node, node, node, node]
  assert.deepEqual(codes({ steps: { a: { stage: 'a@1', config: { node } } } }), [' too_large'])
})

test('the number of faults is bounded', () => {
  const config = Object.fromEntries(Array.from({ length: 500 }, (_, i) => [`k${i}`, 1]))
  assert.equal(faults({ steps: {}, ...config }).length, 100)
})

test('every keyword of the schema is one that the description knows', () => {
  const known = new Set(
    [
      'type const anyOf properties patternProperties required additionalProperties items maxItems',
      'pattern minLength maxLength minimum maximum exclusiveMinimum',
    ].flatMap((line) => line.split(' ')),
  )
  const visit = (schema: unknown): void => {
    if (schema === null || typeof schema !== 'object') return
    for (const [keyword, value] of Object.entries(schema)) {
      assert.ok(known.has(keyword), `unknown keyword ${keyword}`)
      if (keyword === 'properties' || keyword === 'patternProperties') {
        Object.values(value as object).forEach(visit)
      } else if (keyword === 'items') visit(value)
      else if (keyword === 'anyOf') (value as unknown[]).forEach(visit)
    }
  }
  visit(JSON.parse(JSON.stringify(pipelineSchema)))
})
