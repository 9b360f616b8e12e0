import assert from 'node:assert/strict'
import { once } from 'node:events'
import { monitorEventLoopDelay } from 'node:perf_hooks'
import test, { after, before } from 'node:test'
import { Worker } from 'node:worker_threads'
import { createInputChecker } from './input-checker.ts'
import { checkSchemaBudget } from './schema-budget.ts'

const checker = createInputChecker(2)
before(() => checker.compile('{}'))
after(() => checker.close())

const codesOf = (schema: unknown) => checkSchemaBudget(schema).map(({ code }) => code)

/** `allOf` doubling over local references: 30 levels are 2^30 subschemas. */
function doubling(levels: number): Record<string, unknown> {
  const $defs: Record<string, unknown> = { d0: { type: 'object' } }
  for (let level = 1; level <= levels; level++) {
    const $ref = `#/$defs/d${level - 1}`
    $defs[`d${level}`] = { allOf: [{ $ref }, { $ref }] }
  }
  return { $defs, $ref: `#/$defs/d${levels}` }
}

test('ordinary schemas keep the budget and compile', async () => {
  const schema = {
    $schema: 'https://json-schema.org/draft/2020-12/schema',
    type: 'object',
    required: ['rows'],
    properties: {
      rows: { type: 'array', items: { $ref: '#/$defs/row' }, maxItems: 500 },
      when: { type: 'string', format: 'date-time' },
      tree: { $ref: '#/$defs/tree' },
    },
    $defs: {
      row: { type: 'object', properties: { delay: { type: 'number' } } },
      tree: { type: 'object', properties: { left: { $ref: '#/$defs/tree' } } },
    },
    additionalProperties: false,
  }
  assert.deepEqual(checkSchemaBudget(schema), [])
  assert.equal(await checker.compile(JSON.stringify(schema)), undefined)
})

test('schema bombs are refused before they are compiled', () => {
  const branches = Array.from({ length: 2_000 }, (_, index) => ({ const: index }))
  assert.deepEqual(codesOf({ oneOf: branches })[0], 'schema_too_complex')
  assert.deepEqual(codesOf(doubling(28)), ['schema_too_complex'])
  let nested: Record<string, unknown> = {}
  for (let depth = 0; depth < 30; depth++) nested = { properties: { a: nested } }
  assert.deepEqual(codesOf(nested), ['schema_too_complex'])
  assert.deepEqual(codesOf({ enum: Array(20_000).fill('abcdefgh') }), ['schema_too_large'])
  const properties = Object.fromEntries(branches.map((one, index) => [`p${index}`, one]))
  assert.ok(codesOf({ properties }).includes('schema_too_complex'))
})

test('references elsewhere, unknown keywords and formats are refused', () => {
  assert.deepEqual(codesOf({ $ref: 'http://169.254.169.254/latest' }), ['schema_reference'])
  assert.deepEqual(codesOf({ properties: { a: { $ref: 'file:///etc/passwd' } } }), [
    'schema_reference',
  ])
  for (const key of ['$data', '$id', '$dynamicRef', 'formatMaximum', 'x']) {
    assert.deepEqual(codesOf({ [key]: 'a' }), ['schema_keyword'])
  }
  assert.deepEqual(codesOf({ format: 'regex' }), ['schema_format'])
  assert.deepEqual(codesOf({ $schema: 'http://json-schema.org/draft-04/schema#' }), [
    'schema_invalid',
  ])
  assert.deepEqual(codesOf('x'), ['schema_invalid'])
  assert.deepEqual(codesOf({ properties: { a: 3 } }), ['schema_invalid'])
})

test('a schema that does not compile says why', async () => {
  assert.match((await checker.compile('{"type":"strnig"}')) ?? '', /type/)
  assert.match((await checker.compile('{"pattern":"("}')) ?? '', /./)
  assert.match((await checker.compile('{"$ref":"#/$defs/none"}')) ?? '', /none/)
})

test('faults have the pointer of their place and do not repeat the value', async () => {
  const schema = JSON.stringify({
    type: 'object',
    required: ['a/b'],
    properties: {
      'a/b': true,
      n: { type: 'integer', enum: [1] },
      deep: { items: { maxLength: 3 } },
    },
    additionalProperties: false,
  })
  const inputs = ['{"a/b":1}', '{}', '{"a/b":1,"n":"4111-1111"}', '{"a/b":1,"x~":1}']
  const [good, missing, wrong, extra] = await checker.check(schema, inputs)
  assert.deepEqual(good, [])
  assert.equal(missing?.[0]?.path, '/a~1b')
  assert.equal(wrong?.[0]?.path, '/n')
  assert.equal(extra?.[0]?.path, '/x~0')
  const [nested] = await checker.check(schema, ['{"a/b":1,"deep":["secret"]}'])
  assert.equal(nested?.[0]?.path, '/deep/0')
  assert.doesNotMatch(JSON.stringify([wrong, nested]), /4111|secret/)
})

test('an input that takes too long is refused, the thread is replaced and the loop stays free', async () => {
  const delay = monitorEventLoopDelay({ resolution: 5 })
  delay.enable()
  const schema = '{"type":"string","pattern":"^(a|a)*$"}'
  const [faults] = await checker.check(schema, [JSON.stringify(`${'a'.repeat(40)}b`)])
  assert.equal(faults?.[0]?.code, 'too_costly')
  let isRefused = false
  void checker.check(schema, ['"a"']).then(() => {
    isRefused = true
  })
  await new Promise(setImmediate)
  assert.ok(isRefused, 'struck schemas are refused at once, without a thread')
  const [fine] = await checker.check('{"type":"string"}', ['"a"'])
  assert.deepEqual(fine, [])
  delay.disable()
  assert.ok(delay.max / 1e6 < 1_000, `the loop stood still for ${delay.max / 1e6} ms`)
})

test('a schema is not at fault where the machine is: the time of others does not count', async () => {
  // Four threads that never rest leave the one that checks a small part of the processor.
  const spin = 'require("node:worker_threads").parentPort.once("message", () => { for (;;); })'
  const others = Array.from({ length: 4 }, () => new Worker(spin, { eval: true }))
  const fresh = createInputChecker(1)
  try {
    await Promise.all(others.map((worker) => once(worker, 'online')))
    await fresh.compile('{}')
    for (const worker of others) worker.postMessage('spin')
    // Each takes a good part of what one may take of the processor.
    const properties = Object.fromEntries(
      Array.from({ length: 40 }, (_, index) => [`p${index}`, { type: 'string', minLength: index }]),
    )
    for (let round = 0; round < 3; round += 1) {
      const schema = JSON.stringify({ type: 'object', title: `${round}`, properties })
      assert.equal(await fresh.compile(schema), undefined)
    }
  } finally {
    await Promise.all([fresh.close(), ...others.map((worker) => worker.terminate())])
  }
})

test('many inputs are checked in portions and the first faults end the check', async () => {
  const inputs = Array.from({ length: 500 }, (_, index) =>
    JSON.stringify({ text: 'x'.repeat(2_000), index }),
  )
  const verdict = await checker.check('{"type":"object"}', inputs)
  assert.equal(verdict.length, 500)
  assert.ok(verdict.every((faults) => faults.length === 0))
})
