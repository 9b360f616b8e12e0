import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Type } from 'typebox'
import { defineStage } from './define-stage.ts'
import type { StageDefinition } from './stage.ts'

const define = (definition: object) => defineStage(definition as StageDefinition)
const good = { name: 'locate', version: '2.1.0', run: () => null }

test('a definition of three lines gets every default', () => {
  const stage = define(good)
  assert.equal(stage.ref, 'locate@2')
  assert.equal(stage.kind, 'transform')
  assert.equal(stage.concurrency, 16)
  assert.equal(stage.timeoutMs, null)
  assert.equal(stage.batch, null)
  assert.deepEqual(stage.contracts.input, {})
  assert.ok(Object.isFrozen(stage))
})

test('every fault is told at once, with the stage and the field', () => {
  const faults: [object, RegExp][] = [
    [{ timeout: 5 }, /stage "locate": unknown option "timeout", did you mean "timeoutMs"\?/],
    [{ handle: () => 1 }, /unknown option "handle"/],
    [{ name: 'Locate' }, /"Locate@2" is not a stage reference/],
    [{ version: '2' }, /version "2" is not major.minor.patch/],
    [{ kind: 'worker' }, /kind must be one of transform, enrich/],
    [{ timeoutMs: 0 }, /timeoutMs must be a whole number from 1 to 3600000/],
    [{ concurrency: 1.5 }, /concurrency must be a whole number/],
    [{ retry: { attempt: 3 } }, /retry: \/attempt is not declared/],
    [{ retry: { attempts: 0 } }, /retry: \/attempts/],
    [{ run: undefined }, /either run or runBatch/],
    [{ runBatch: () => [] }, /either run or runBatch/],
    [{ batch: { max: 3 } }, /batch is for stages with runBatch/],
    [{ run: undefined, runBatch: () => [], batch: { size: 3 } }, /unknown option "size"/],
    [{ optional: true }, /optional is for stages of kind enrich/],
    [{ kind: 'work', deterministic: true }, /cannot be deterministic/],
    [{ input: 'string' }, /input: is neither a Standard Schema/],
    [{ interceptors: [{ name: 'a' }] }, /interceptors: "a" needs a whole priority/],
    [{ init: true }, /init must be a function/],
  ]
  for (const [change, message] of faults) {
    assert.throws(() => define({ ...good, ...change }), message)
  }
  assert.throws(
    () => define({ ...good, timeout: 5, kind: 'x', concurrency: 0 }),
    /unknown option "timeout".*; kind must.*; concurrency must/,
  )
})

test('the contract hash follows the schemas and nothing else', () => {
  const input = Type.Object({ a: Type.String(), b: Type.Number() })
  const sameOrder = { required: ['a', 'b'], ...JSON.parse(JSON.stringify(input)) }
  const hash = define({ ...good, input }).contracts.hash
  assert.equal(define({ ...good, version: '2.1.1', input: sameOrder }).contracts.hash, hash)
  assert.notEqual(define({ ...good, output: input }).contracts.hash, hash)
})

test('a schema library that can say its JSON Schema has it published', () => {
  const schema = {
    '~standard': {
      version: 1,
      vendor: 'some',
      validate: (value: unknown) => ({ value }),
      jsonSchema: {
        input: () => ({ type: 'string' }),
        output: () => ({ type: 'number' }),
      },
    },
  }
  const { contracts } = define({ ...good, input: schema, output: schema })
  assert.deepEqual(contracts.input, { type: 'string' })
  assert.deepEqual(contracts.output, { type: 'number' })
})

test('the handler is typed by the schemas', () => {
  const km = Type.Object({ km: Type.Number() })
  const typed = { name: 'some', version: '1.0.0', input: km, output: km } as const
  assert.ok(defineStage({ ...typed, run: (input) => ({ km: input.km + 1 }) }))
  // @ts-expect-error the output is a number of kilometres
  assert.ok(defineStage({ ...typed, run: (input) => ({ km: String(input.km) }) }))
  // @ts-expect-error the input has no miles
  assert.ok(defineStage({ ...typed, run: (input) => ({ km: input.miles }) }))
})
