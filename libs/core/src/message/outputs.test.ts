import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Plan, parentItem, type StepDocument } from '@weir/contracts'
import fc from 'fast-check'
import { compilePlan } from '../plan/compile-plan.ts'
import { fillDefaults } from '../plan/effective.ts'
import { faultOfOutput, inputsOf, outputsOf, stepOf } from './outputs.ts'
import type { TaskResult } from './result.ts'

function planOf(steps: Record<string, Omit<StepDocument, 'stage'>>): Plan {
  const document = Object.entries(steps).map(([name, step]) => [name, { ...step, stage: 'any@1' }])
  const effective = fillDefaults({ steps: Object.fromEntries(document) })
  return compilePlan({ tenant: 't', pipeline: 'p', version: 1, effective })
}

const shapes: readonly Plan[] = [
  planOf({ a: {}, b: { after: ['a'] }, c: { after: ['a'] }, d: { after: ['b', 'c'] } }),
  planOf({
    a: {},
    b: { after: [{ step: 'a', when: 'left' }] },
    c: { after: [{ step: 'a', when: 'right' }] },
    d: { after: ['a'] },
  }),
  planOf({
    a: {},
    b: { after: [{ step: 'a', each: true }] },
    c: { after: [{ step: 'a', each: true, when: 'left' }] },
    d: { after: ['b'] },
    e: { after: [{ step: 'c', gather: true }, { step: 'd', gather: true }, 'a'] },
  }),
  planOf({
    a: {},
    b: { after: [{ step: 'a', each: true }] },
    c: { after: [{ step: 'b', each: true }] },
    d: { after: [{ step: 'c', gather: true }] },
    e: {
      after: [
        { step: 'd', gather: true },
        { step: 'b', gather: true },
      ],
    },
  }),
]

const result: fc.Arbitrary<TaskResult> = fc.oneof(
  fc.record({
    status: fc.constant('ok' as const),
    output: fc.array(fc.nat(9), { maxLength: 4 }).map((list) => JSON.stringify(list)),
    taken: fc.constantFrom(null, [], ['left'], ['right'], ['left', 'right']),
  }),
  fc.record({
    status: fc.constant('skip' as const),
    reason: fc.constant('so'),
    failedBefore: fc.boolean(),
  }),
  fc.constant({ status: 'cancel', reason: 'so' } as const),
  fc.constant({
    status: 'fail',
    error: { code: 'x', message: 'x', class: 'permanent' },
  } as const),
)

test('every result puts exactly one message on each outgoing edge and scope', () => {
  fc.assert(
    fc.property(fc.constantFrom(...shapes), fc.nat(9), result, (plan, at, given) => {
      const step = plan.steps[at % plan.steps.length]
      assert.ok(step !== undefined)
      const item = step.scope.map(() => '1').join('.')
      const counts = step.scope.map(() => 3)
      const messages = [...outputsOf({ plan, step, job: 'j', run: 1, item, counts }, given)]
      assert.equal(new Set(messages.map(({ id }) => id)).size, messages.length, 'ids differ')
      const elements = given.status === 'ok' ? (JSON.parse(given.output) as unknown[]).length : 0
      const fans = step.out.filter((index) => plan.edges[index]?.kind === 'each')
      const fansTaken = fans.filter((index) => {
        const when = plan.edges[index]?.when ?? null
        return given.status === 'ok' && (when === null || given.taken?.includes(when))
      })
      const opens = fansTaken.length > 0 && elements > 0
      for (const index of step.out) {
        const edge = plan.edges[index]
        const own = messages.filter((message) => message.edge === edge)
        if (edge?.kind !== 'each') assert.equal(own.length, 1, `edge ${index}`)
        else assert.equal(own.length, opens ? elements : 0)
        for (const message of own) {
          if (given.status !== 'ok') assert.notEqual(message.kind, 'data')
          const failed = given.status === 'skip' ? given.failedBefore : true
          if (given.status !== 'ok') assert.equal(message.kind, failed ? 'failed' : 'skipped')
        }
      }
      // Where the fan-out has no items, each gather that closes it hears so, once.
      for (const index of fans.length > 0 && !opens ? step.closing : []) {
        const markers = messages.filter(({ edge }) => edge.index === index)
        assert.equal(markers.length, 1)
        assert.equal(markers[0]?.item, item)
      }
    }),
  )
})

test('all parts of a join share a key, and the keys of different items differ', () => {
  const plan = shapes[3] as Plan
  const keys = new Set<string>()
  for (const item of ['0.0', '0.1', '1.0']) {
    const step = stepOf(plan, 'c')
    assert.ok(step !== undefined)
    const source = { plan, step, job: 'j', run: 1, item, counts: [2, 2] }
    const [message] = [...outputsOf(source, { status: 'ok', output: '1', taken: null })]
    assert.equal(message?.key, `j/1/d/${parentItem(item)}`)
    keys.add(message?.key ?? '')
  }
  assert.equal(keys.size, 2)
})

test('ids carry no attempt and differ between runs', () => {
  const plan = shapes[0] as Plan
  const ids = (run: number) => [...inputsOf(plan, 'j', run, '{}')].map(({ id }) => id)
  assert.deepEqual(ids(1), ids(1))
  assert.notDeepEqual(ids(1), ids(2))
})

test('an output that is no array, or too long, is a fault of a step that fans out', () => {
  const plan = planOf({ a: {}, b: { after: [{ step: 'a', each: true, maxItems: 2 }] } })
  const step = stepOf(plan, 'a')
  assert.ok(step !== undefined)
  const fault = (output: string) =>
    faultOfOutput(plan, step, { status: 'ok', output, taken: null })?.code
  assert.equal(fault('{}'), 'not_an_array')
  assert.equal(fault('[1,2,3]'), 'too_many_items')
  assert.equal(fault('[1,2]'), undefined)
  assert.equal(faultOfOutput(plan, step, { status: 'cancel', reason: '' }), undefined)
})
