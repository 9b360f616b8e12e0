import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { PipelineDocument, Plan } from '@weir/contracts'
import { compilePlan } from './compile-plan.ts'
import { fillDefaults } from './effective.ts'

const compile = (steps: PipelineDocument['steps'], version = 1) =>
  compilePlan({ tenant: 't', pipeline: 'p', version, effective: fillDefaults({ steps }) })
const step = (plan: Plan, name: string) => {
  const found = plan.steps.find((one) => one.name === name)
  assert.ok(found)
  return found
}

const nested: PipelineDocument['steps'] = {
  merge: { stage: 'merge@1', after: [{ step: 'pair', gather: true }] },
  split: { stage: 'split@1' },
  audit: { stage: 'work@1', after: ['split'] },
  parts: { stage: 'split@1', after: [{ step: 'split', each: true, maxItems: 10 }] },
  tag: { stage: 'work@1', after: [{ step: 'split', each: true, maxItems: 10 }] },
  leaf: { stage: 'work@1', after: [{ step: 'parts', each: true, maxItems: 20 }] },
  pair: { stage: 'merge@1', after: [{ step: 'leaf', gather: true }, 'tag'] },
}

test('steps are in topological order, root edges first, then edges in document order', () => {
  const plan = compile(nested)
  assert.deepEqual(
    plan.steps.map(({ name }) => name),
    ['split', 'audit', 'parts', 'tag', 'leaf', 'pair', 'merge'],
  )
  assert.deepEqual(
    plan.edges.map(({ index, from, to, kind }) => `${index} ${from} ${kind} ${to}`),
    [
      '0 null plain split',
      '1 pair gather merge',
      '2 split plain audit',
      '3 split each parts',
      '4 split each tag',
      '5 parts each leaf',
      '6 leaf gather pair',
      '7 tag plain pair',
    ],
  )
  assert.deepEqual(plan.leafs, ['audit', 'merge'])
})

test('scopes name the steps that opened them, and closing edges belong to their opener', () => {
  const plan = compile(nested)
  assert.deepEqual(Object.fromEntries(plan.steps.map(({ name, scope }) => [name, scope])), {
    split: [],
    audit: [],
    parts: ['split'],
    tag: ['split'],
    leaf: ['split', 'parts'],
    pair: ['split'],
    merge: [],
  })
  assert.deepEqual(step(plan, 'split').closing, [1])
  assert.deepEqual(step(plan, 'parts').closing, [6])
  assert.deepEqual(step(plan, 'audit').closing, [])
})

test('outcomes are written where one result becomes several messages', () => {
  const plan = compile({
    one: { stage: 'a@1' },
    two: { stage: 'a@1', after: ['one'] },
    three: { stage: 'a@1', after: ['two'] },
    four: { stage: 'a@1', after: ['two', { step: 'three', when: 'x' }] },
    five: { stage: 'a@1', after: [{ step: 'four', each: true }] },
  })
  assert.deepEqual(
    plan.steps.map(({ writeOutcome }) => writeOutcome),
    ['never', 'unless_deterministic', 'always', 'always', 'never'],
  )
})

test('a step on a single message has no join, others have their policy', () => {
  const plan = compile({
    a: { stage: 'a@1' },
    b: { stage: 'a@1', after: [{ step: 'a', each: true }] },
    c: { stage: 'a@1', after: [{ step: 'b', gather: true }], join: { policy: 'quorum', n: 2 } },
    d: {
      stage: 'a@1',
      after: ['a', 'c'],
      join: { policy: 'any', timeoutMs: 5, onTimeout: 'partial' },
    },
    e: { stage: 'a@1', after: ['c', 'd'] },
  })
  assert.equal(step(plan, 'a').join, null)
  assert.equal(step(plan, 'b').join, null)
  const fail = { timeoutMs: null, onTimeout: 'fail' }
  assert.deepEqual(step(plan, 'c').join, { policy: 'quorum', n: 2, ...fail, unit: 'items' })
  assert.deepEqual(step(plan, 'd').join, {
    policy: 'any',
    n: 1,
    timeoutMs: 5,
    onTimeout: 'partial',
    unit: 'edges',
  })
  assert.deepEqual(step(plan, 'e').join, { policy: 'all', n: 0, ...fail, unit: 'edges' })
})

test('the id is that of the content: the same again, another for another version or tenant', () => {
  const plan = compile(nested)
  assert.equal(compile(structuredClone(nested)).id, plan.id)
  assert.notEqual(compile(nested, 2).id, plan.id)
  const effective = fillDefaults({ steps: nested })
  const other = compilePlan({ tenant: 'u', pipeline: 'p', version: 1, effective })
  assert.notEqual(other.id, plan.id)
  assert.match(plan.id, /^[A-Za-z0-9_-]{22}$/)
})

test('the plan survives JSON as it stands', () => {
  const plan = compile(nested)
  assert.deepEqual(JSON.parse(JSON.stringify(plan)), plan)
})

test('an unchecked document is not compiled', () => {
  assert.throws(() => compile({ a: { stage: 'a@1', after: ['a'] } }), /cycle/)
  const gather = [{ step: 'a', gather: true }]
  assert.throws(
    () => compile({ a: { stage: 'a@1' }, b: { stage: 'a@1', after: gather } }),
    /checked/,
  )
  assert.throws(() => compile({ a: { stage: 'nonsense' } }), /stage reference/)
})
