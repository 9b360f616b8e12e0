import assert from 'node:assert/strict'
import { test } from 'node:test'
import type {
  EdgeMessageKind,
  Envelope,
  FailureMode,
  MessageId,
  MessageMeta,
  Plan,
  StepDocument,
} from '@weir/contracts'
import fc from 'fast-check'
import { stepOf } from '../message/outputs.ts'
import { compilePlan } from '../plan/compile-plan.ts'
import { fillDefaults } from '../plan/effective.ts'
import { decideJoin, mayRunPartially } from './decide.ts'
import { addPart, allDelivered, composeInput, type OpenJoin, openJoin } from './open-join.ts'

type Steps = Record<string, Omit<StepDocument, 'stage'>>

function planOf(onFailure: FailureMode, steps: Steps): Plan {
  const document = Object.entries(steps).map(([name, step]) => [name, { ...step, stage: 'any@1' }])
  const effective = fillDefaults({ onFailure, steps: Object.fromEntries(document) })
  return compilePlan({ tenant: 't', pipeline: 'p', version: 1, effective })
}

/** A part by the index of its edge; of a gather edge also the item and how many there are. */
type GivenPart = { edge: number; kind: EdgeMessageKind; item?: string; count?: number }

function partOf({ edge, kind, item = '', count }: GivenPart, step: string): Envelope {
  const meta: MessageMeta = {
    v: 1,
    kind,
    run: 1,
    plan: 'plan',
    planOffset: 0,
    step,
    edge,
    item,
    counts: count === undefined ? [] : [count],
    attempt: 1,
    priority: 128,
    createdAt: 0,
    notAfter: 1_000,
  }
  return {
    id: `${edge}/${item}` as MessageId,
    cause: '',
    tenant: 't',
    job: 'j',
    correlation: '',
    traceparent: '',
    ticket: '',
    meta,
  }
}

function joinOf(plan: Plan, parts: readonly GivenPart[]): OpenJoin {
  const step = stepOf(plan, 'last')
  if (step === undefined) throw new Error('the plan has no step "last"')
  const envelopes = parts.map((part) => partOf(part, 'last'))
  const first = envelopes[0] ?? partOf({ edge: step.in[0] as number, kind: 'data' }, 'last')
  const join = openJoin('key', plan, step, '', first, 0, 0)
  for (const envelope of envelopes) addPart(join, envelope, `"${envelope.meta.edge}"`)
  return join
}

const diamond = (mode: FailureMode, policy?: StepDocument['join']) =>
  planOf(mode, {
    first: {},
    a: { after: ['first'] },
    b: { after: ['first'] },
    c: { after: ['first'] },
    last: { after: ['a', 'b', 'c'], ...(policy === undefined ? {} : { join: policy }) },
  })

const gather = (mode: FailureMode, policy?: StepDocument['join']) =>
  planOf(mode, {
    first: {},
    a: { after: [{ step: 'first', each: true }] },
    last: {
      after: [{ step: 'a', gather: true }],
      ...(policy === undefined ? {} : { join: policy }),
    },
  })

const edgesOf = (plan: Plan) => stepOf(plan, 'last')?.in as readonly number[]

/** The design's table, written out: what is there → what the step does in each mode. */
const table = [
  { inputs: 'data on every edge', has: ['data', 'data', 'data'], runs: [true, true, true] },
  {
    inputs: 'data, the rest skipped',
    has: ['data', 'skipped', 'skipped'],
    runs: [true, true, true],
  },
  {
    inputs: 'data, and something failed',
    has: ['data', 'failed', 'data'],
    runs: [null, 'failed', true],
  },
  {
    inputs: 'data, failed and skipped',
    has: ['data', 'failed', 'skipped'],
    runs: [null, 'failed', true],
  },
  {
    inputs: 'no data, something failed',
    has: ['skipped', 'failed', 'skipped'],
    runs: [null, 'failed', 'failed'],
  },
  {
    inputs: 'no data, all failed',
    has: ['failed', 'failed', 'failed'],
    runs: [null, 'failed', 'failed'],
  },
  {
    inputs: 'no data, all skipped',
    has: ['skipped', 'skipped', 'skipped'],
    runs: ['skipped', 'skipped', 'skipped'],
  },
] as const

const modes = ['fail_fast', 'continue', 'best_effort'] as const

for (const { inputs, has, runs } of table) {
  for (const [index, mode] of modes.entries()) {
    const wanted = runs[index]
    // Under fail_fast the run is already over where something failed; whatever is decided is absorbed.
    if (wanted === null) continue
    test(`a join with ${inputs} under ${mode}: ${wanted === true ? 'runs' : `sends ${wanted} on`}`, () => {
      const decide = (join: OpenJoin) => {
        const decision = decideJoin(join)
        assert.ok(decision !== null)
        if (wanted === true) assert.equal(decision.do, 'run')
        else {
          assert.equal(decision.do, 'skip')
          assert.equal(decision.do === 'skip' && decision.failedBefore, wanted === 'failed')
        }
      }
      const plan = diamond(mode)
      decide(
        joinOf(
          plan,
          edgesOf(plan).map((edge, at) => ({ edge, kind: has[at] as EdgeMessageKind })),
        ),
      )
      const items = gather(mode)
      const edge = edgesOf(items)[0] as number
      decide(
        joinOf(
          items,
          has.map((kind, at) => ({ edge, kind, item: String(at), count: 3 })),
        ),
      )
    })
  }
}

test('a join waits while an edge has not delivered', () => {
  const plan = diamond('continue')
  const [a, b] = edgesOf(plan) as [number, number, number]
  assert.equal(decideJoin(joinOf(plan, [])), null)
  assert.equal(
    decideJoin(
      joinOf(plan, [
        { edge: a, kind: 'data' },
        { edge: b, kind: 'failed' },
      ]),
    ),
    null,
  )
})

test('any fires on the first data and skips only when all have delivered none', () => {
  const plan = diamond('continue', { policy: 'any' })
  const [a, b, c] = edgesOf(plan) as [number, number, number]
  const parts = (...kinds: EdgeMessageKind[]) =>
    joinOf(
      plan,
      kinds.map((kind, at) => ({ edge: [a, b, c][at] as number, kind })),
    )
  assert.equal(decideJoin(parts('failed')), null)
  assert.equal(decideJoin(parts('failed', 'data'))?.do, 'run')
  assert.equal(decideJoin(parts('skipped', 'skipped')), null)
  assert.deepEqual(decideJoin(parts('skipped', 'skipped', 'skipped')), {
    do: 'skip',
    reason: 'every input was skipped',
    failedBefore: false,
  })
  assert.deepEqual(decideJoin(parts('skipped', 'failed', 'failed')), {
    do: 'skip',
    reason: 'an input failed',
    failedBefore: true,
  })
})

test('a quorum fires when met and fails as soon as it cannot be met with some data there', () => {
  const plan = diamond('continue', { policy: 'quorum', n: 2 })
  const [a, b, c] = edgesOf(plan) as [number, number, number]
  const parts = (...kinds: EdgeMessageKind[]) =>
    decideJoin(
      joinOf(
        plan,
        kinds.map((kind, at) => ({ edge: [a, b, c][at] as number, kind })),
      ),
    )
  assert.equal(parts('data'), null)
  assert.equal(parts('data', 'failed'), null)
  assert.equal(parts('data', 'data')?.do, 'run')
  const unmet = parts('data', 'failed', 'skipped')
  assert.ok(unmet?.do === 'fail' && unmet.error.code === 'join_unsatisfied')
  assert.equal(parts('failed', 'failed'), null)
  assert.equal(parts('failed', 'failed', 'failed')?.do, 'skip')
})

test('a gather counts items: quorum, unmet quorum, and the markers of a whole fan-out', () => {
  const plan = gather('continue', { policy: 'quorum', n: 2 })
  const edge = edgesOf(plan)[0] as number
  const items = (...kinds: EdgeMessageKind[]) =>
    decideJoin(
      joinOf(
        plan,
        kinds.map((kind, at) => ({ edge, kind, item: String(at), count: 4 })),
      ),
    )
  assert.equal(items('data', 'failed'), null)
  assert.equal(items('data', 'data')?.do, 'run')
  const unmet = items('data', 'failed', 'failed', 'failed')
  assert.ok(unmet?.do === 'fail' && unmet.error.code === 'join_unsatisfied')
  for (const marker of ['skipped', 'failed'] as const) {
    const decision = decideJoin(joinOf(plan, [{ edge, kind: marker }]))
    assert.ok(decision?.do === 'skip' && decision.failedBefore === (marker === 'failed'))
  }
  const plain = gather('continue')
  const empty = joinOf(plain, [{ edge: edgesOf(plain)[0] as number, kind: 'empty' }])
  assert.deepEqual(decideJoin(empty), { do: 'run' })
  assert.equal(composeInput(empty).input, '[]')
})

test('the array of a gather is in item order whatever came first, with what is missing named', () => {
  const plan = gather('best_effort')
  const edge = edgesOf(plan)[0] as number
  const step = stepOf(plan, 'last')
  assert.ok(step !== undefined)
  const give = (item: string, kind: EdgeMessageKind) =>
    partOf({ edge, kind, item, count: 12 }, 'last')
  const join = openJoin('key', plan, step, '', give('11', 'data'), 0, 0)
  addPart(join, give('11', 'data'), '"eleven"')
  addPart(join, give('2', 'data'), '"two"')
  addPart(join, give('10', 'failed'), 'null')
  const { input, manifest, missing } = composeInput(join)
  assert.equal(input, '["two","eleven"]')
  assert.deepEqual(
    manifest.filter(({ reason }) => reason === 'failed'),
    [{ as: 'a', index: 10, reason: 'failed' }],
  )
  assert.equal(missing.length, 9)
})

test('a part that contradicts what is there is refused: the first one counts', () => {
  const plan = gather('continue')
  const edge = edgesOf(plan)[0] as number
  const join = joinOf(plan, [{ edge, kind: 'data', item: '0', count: 2 }])
  const add = (part: GivenPart) => addPart(join, partOf(part, 'last'), '1')
  assert.equal(add({ edge, kind: 'data', item: '0', count: 2 }), false)
  assert.equal(add({ edge, kind: 'empty' }), false)
  assert.equal(add({ edge, kind: 'data', item: '2', count: 3 }), false)
  assert.equal(add({ edge: 99, kind: 'data' }), false)
  assert.equal(add({ edge, kind: 'data', item: '1', count: 3 }), true)
  assert.ok(allDelivered(join))
})

test('a join whose time is up runs partially only where it may and has data', () => {
  const [partial, strict] = (['partial', 'fail'] as const).map((onTimeout) =>
    diamond('continue', { policy: 'all', timeoutMs: 10, onTimeout }),
  ) as [Plan, Plan]
  const edge = edgesOf(partial)[0] as number
  assert.ok(mayRunPartially(joinOf(partial, [{ edge, kind: 'data' }])))
  assert.ok(!mayRunPartially(joinOf(partial, [{ edge, kind: 'failed' }])))
  assert.ok(!mayRunPartially(joinOf(strict, [{ edge, kind: 'data' }])))
})

const kind = fc.constantFrom<EdgeMessageKind>('data', 'skipped', 'failed')

test('once every edge has delivered, order and duplicates change neither decision nor input', () => {
  fc.assert(
    fc.property(
      fc.constantFrom(...modes),
      fc.tuple(kind, kind, kind),
      fc.shuffledSubarray([0, 1, 2], { minLength: 3 }),
      fc.array(fc.nat(2), { maxLength: 5 }),
      (mode, kinds, order, again) => {
        for (const plan of [diamond(mode), gather(mode)]) {
          const edges = edgesOf(plan)
          const given = kinds.map(
            (each, at): GivenPart =>
              edges.length === 3
                ? { edge: edges[at] as number, kind: each }
                : { edge: edges[0] as number, kind: each, item: String(at), count: 3 },
          )
          const pick = (at: number) => given[at] as GivenPart
          const straight = joinOf(plan, given)
          const mixed = joinOf(
            plan,
            [
              ...order.slice(0, 2),
              ...again.filter((at) => order.indexOf(at) < 2),
              ...order.slice(2),
              ...again,
            ].map(pick),
          )
          assert.deepEqual(decideJoin(mixed), decideJoin(straight))
          assert.deepEqual(composeInput(mixed), composeInput(straight))
        }
      },
    ),
  )
})

test('an early policy never decides otherwise for having waited longer', () => {
  fc.assert(
    fc.property(
      fc.constantFrom(...modes),
      fc.integer({ min: 1, max: 3 }),
      fc.tuple(kind, kind, kind),
      (mode, n, kinds) => {
        for (const plan of [
          diamond(mode, { policy: 'quorum', n }),
          gather(mode, { policy: 'quorum', n }),
        ]) {
          const edges = edgesOf(plan)
          const given = kinds.map(
            (each, at): GivenPart =>
              edges.length === 3
                ? { edge: edges[at] as number, kind: each }
                : { edge: edges[0] as number, kind: each, item: String(at), count: 3 },
          )
          const last = decideJoin(joinOf(plan, given))
          assert.ok(last !== null, 'a complete join decides')
          for (let length = 1; length < 3; length += 1) {
            const early = decideJoin(joinOf(plan, given.slice(0, length)))
            if (early !== null) assert.equal(early.do, last.do)
          }
        }
      },
    ),
  )
})
