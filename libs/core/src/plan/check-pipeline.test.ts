import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { PipelineDocument, StageKind, StepDocument } from '@weir/contracts'
import fc from 'fast-check'
import { checkPipeline } from './check-pipeline.ts'
import type { KnownStage } from './known-stage.ts'
import { parsePipeline } from './parse-pipeline.ts'

const stage = (ref: string, more: Partial<KnownStage> = {}): KnownStage => ({
  ref,
  kind: 'work',
  lanes: ['high', 'normal'],
  contracts: null,
  ...more,
})
const stages = new Map(
  [stage('work@1'), stage('pick@1', { kind: 'route' }), stage('slow@1', { drainRate: 500 })].map(
    (known) => [known.ref, known],
  ),
)
const work = (after: StepDocument['after'] = [], more: Partial<StepDocument> = {}) => ({
  stage: 'work@1',
  after,
  ...more,
})
const check = (steps: PipelineDocument['steps'], more: Partial<PipelineDocument> = {}) =>
  checkPipeline({ ...more, steps }, { stages })
const errorsOf = (steps: PipelineDocument['steps'], more: Partial<PipelineDocument> = {}) =>
  check(steps, more).errors.map(({ path, code }) => `${path} ${code}`)

test('a pipeline of every kind of edge is accepted', () => {
  const checked = check({
    split: work(),
    locate: work([{ step: 'split', each: true, maxItems: 500 }]),
    score: work([{ step: 'split', each: true }]),
    both: work(['locate', 'score']),
    merge: work([{ step: 'both', gather: true }, 'split'], { join: { policy: 'any' } }),
    pick: { stage: 'pick@1', after: ['merge'] },
    large: work([{ step: 'pick', when: 'large' }]),
  })
  assert.deepEqual(checked.errors, [])
  assert.deepEqual(checked.warnings, [])
})

test('effective shows every default, is a valid document and its own effective form', () => {
  const { effective } = check({
    a: work(),
    b: work([{ step: 'a', each: true }]),
    c: work(['b', 'b']),
  })
  assert.deepEqual(effective, {
    onFailure: 'fail_fast',
    onOverload: 'block',
    history: 'full',
    steps: {
      a: {
        stage: 'work@1',
        after: [],
        timeoutMs: 30_000,
        retry: {
          attempts: 3,
          baseMs: 1_000,
          maxMs: 30_000,
          backoff: 'exponential',
          jitter: 'full',
        },
        config: {},
      },
      b: {
        ...effective.steps.a,
        after: [
          {
            step: 'a',
            each: true,
            as: 'a',
            maxItems: 1_000,
            bufferRecordsMax: 10_000,
            latencyBudgetMs: 60_000,
          },
        ],
      },
      c: {
        ...effective.steps.a,
        after: [
          { step: 'b', as: 'b', bufferRecordsMax: 10_000, latencyBudgetMs: 60_000 },
          { step: 'b', as: 'b', bufferRecordsMax: 10_000, latencyBudgetMs: 60_000 },
        ],
        join: { policy: 'all', onTimeout: 'fail' },
      },
    },
  })
  const parsed = parsePipeline(JSON.parse(JSON.stringify(effective)))
  assert.ok('document' in parsed)
  assert.deepEqual(checkPipeline(parsed.document, { stages }).effective, effective)
})

test('each edges of one step share the smallest bound that is stated', () => {
  const { effective } = check({
    a: work(),
    b: work([{ step: 'a', each: true }]),
    c: work([{ step: 'a', each: true, maxItems: 7 }]),
  })
  assert.equal(effective.steps.b?.after[0]?.maxItems, 7)
})

test('an empty pipeline is refused', () => {
  assert.deepEqual(errorsOf({}), ['/steps empty'])
})

test('faults of single edges are found where they stand', () => {
  assert.deepEqual(errorsOf({ a: work(['a']) }), ['/steps/a/after/0 self_dependency'])
  assert.deepEqual(errorsOf({ a: work(), b: work(['a', 'a']) }), [
    '/steps/b/after/1 duplicate_edge',
  ])
  assert.deepEqual(errorsOf({ a: work(), b: work(), c: work(['a', { step: 'b', as: 'a' }]) }), [
    '/steps/c/after/1 as_clash',
  ])
  assert.deepEqual(errorsOf({ a: work(), b: work([{ step: 'a', each: true, gather: true }]) }), [
    '/steps/b/after/0 invalid_edge',
  ])
  assert.deepEqual(errorsOf({ a: work(), b: work([{ step: 'a', maxItems: 3 }]) }), [
    '/steps/b/after/0/maxItems invalid_edge',
  ])
  assert.deepEqual(errorsOf({ a: work(), b: work([{ step: 'a', when: 'x' }]) }), [
    '/steps/b/after/0/when when_without_route',
  ])
})

test('a missing step and an unknown stage name what was probably meant', () => {
  const { errors } = check({ locate: work(), b: { stage: 'wrok@1', after: ['lcoate'] } })
  assert.deepEqual(
    errors.map(({ path, code, fix }) => [path, code, fix]),
    [
      ['/steps/b/stage', 'unknown_stage', 'work@1'],
      ['/steps/b/after/0', 'missing_step', 'locate'],
    ],
  )
})

test('a name of an object member is not taken for a step', () => {
  assert.deepEqual(errorsOf({ a: work(['constructor']) }), ['/steps/a/after/0 missing_step'])
})

test('a cycle is refused with its path along the flow', () => {
  const { errors } = check({ a: work(['c']), b: work(['a']), c: work(['b']) })
  assert.deepEqual(
    errors.map(({ path, code, cycle }) => ({ path, code, cycle })),
    [{ path: '/steps/a/after/0', code: 'cycle', cycle: ['a', 'b', 'c', 'a'] }],
  )
})

test('a step connected to nothing is a warning', () => {
  assert.deepEqual(check({ a: work() }).warnings, [])
  const { errors, warnings } = check({ a: work(), b: work(['a']), c: work() })
  assert.deepEqual(errors, [])
  assert.deepEqual(
    warnings.map(({ path, code }) => [path, code]),
    [['/steps/c', 'orphan']],
  )
})

test('edges between scopes need each or gather, and the fix is named', () => {
  const { errors } = check({
    a: work(),
    b: work([{ step: 'a', each: true }]),
    c: work(['a', 'b']),
    d: work([
      { step: 'b', gather: true },
      { step: 'a', each: true },
    ]),
    e: work([{ step: 'a', gather: true }]),
  })
  assert.deepEqual(
    errors.map(({ path, code, fix }) => [path, code, fix]),
    [
      ['/steps/c/after/1', 'scope_mismatch', 'gather: true'],
      ['/steps/d/after/1', 'scope_mismatch', 'leave out each and gather'],
      ['/steps/e/after/0', 'scope_mismatch', 'leave out gather'],
    ],
  )
})

test('fan-outs are bounded in depth and in the product of their items', () => {
  const nest = (depth: number, maxItems: number) =>
    Object.fromEntries(
      Array.from({ length: depth + 1 }, (_, i) => [
        `s${i}`,
        i === 0 ? work() : work([{ step: `s${i - 1}`, each: true, maxItems }]),
      ]),
    )
  assert.deepEqual(errorsOf(nest(4, 10)), [])
  assert.deepEqual(errorsOf(nest(5, 1)), ['/steps/s5 too_large'])
  const { errors } = check(nest(2, 1_000))
  assert.deepEqual(
    errors.map(({ path, code, fix }) => [path, code, fix]),
    [['/steps/s2/after/0/maxItems', 'too_large', 'maxItems: 10']],
  )
})

test('a join must have something to join, and a quorum that can be met', () => {
  const join = (policy: 'all' | 'any' | 'quorum', n?: number) =>
    n === undefined ? { join: { policy } } : { join: { policy, n } }
  const a = work()
  const b = work()
  assert.deepEqual(errorsOf({ a, c: work(['a'], join('any')) }), ['/steps/c/join invalid_join'])
  assert.deepEqual(errorsOf({ a, b, c: work(['a', 'b'], join('quorum')) }), [
    '/steps/c/join/n required',
  ])
  assert.deepEqual(errorsOf({ a, b, c: work(['a', 'b'], join('any', 1)) }), [
    '/steps/c/join/n invalid_join',
  ])
  assert.deepEqual(errorsOf({ a, b, c: work(['a', 'b'], join('quorum', 3)) }), [
    '/steps/c/join/n invalid_join',
  ])
  const each = work([{ step: 'a', each: true, maxItems: 5 }])
  const gather = [{ step: 'each', gather: true }]
  assert.deepEqual(errorsOf({ a, each, c: work(gather, join('quorum', 5)) }), [])
  assert.deepEqual(errorsOf({ a, each, c: work(gather, join('quorum', 6)) }), [
    '/steps/c/join/n invalid_join',
  ])
})

test('a buffer that cannot drain within its latency budget is refused', () => {
  const edge = { step: 'a', bufferRecordsMax: 6_000, latencyBudgetMs: 2_000 }
  const { errors } = check({ a: work(), b: { stage: 'slow@1', after: [edge] } })
  assert.equal(errors[0]?.code, 'buffer_exceeds_latency_budget')
  assert.match(errors[0]?.message ?? '', /12000 ms/)
  assert.equal(errors[0]?.fix, 'bufferRecordsMax: 1000')
  const fits = { ...edge, latencyBudgetMs: 12_000 }
  assert.deepEqual(errorsOf({ a: work(), b: { stage: 'slow@1', after: [fits] } }), [])
  assert.deepEqual(errorsOf({ a: work(), b: work([{ ...edge, maxRate: 1_000 }]) }), [
    '/steps/b/after/0/bufferRecordsMax buffer_exceeds_latency_budget',
  ])
  assert.deepEqual(errorsOf({ a: work(), b: work([{ step: 'a', maxRate: 10 }]) }), [])
})

test('drop_oldest needs its queueMax, and queueMax its drop_oldest', () => {
  assert.deepEqual(errorsOf({ a: work() }, { onOverload: 'drop_oldest' }), ['/queueMax required'])
  assert.deepEqual(errorsOf({ a: work() }, { queueMax: 3 }), ['/queueMax invalid_value'])
})

test('contracts are compared over plain, each, gather and joining edges, and at the input', () => {
  const object = (properties: Record<string, unknown>) => ({
    type: 'object',
    properties,
    required: Object.keys(properties),
  })
  const text = { type: 'string' }
  const number = { type: 'number' }
  const known = (ref: string, input: unknown, output: unknown): [string, KnownStage] => [
    ref,
    stage(ref, { contracts: { input, output } }),
  ]
  const contracts = new Map([
    known('list@1', object({ n: number }), { type: 'array', items: text }),
    known('text@1', text, text),
    known('number@1', number, number),
    known('texts@1', { type: 'array', items: text }, text),
    known('both@1', object({ t: text, n: number }), text),
  ])
  const codes = (steps: PipelineDocument['steps'], input?: unknown) =>
    checkPipeline(
      { steps, ...(input === undefined ? {} : { input }) },
      { stages: contracts },
    ).errors.map(({ path, code }) => `${path} ${code}`)
  const list = { stage: 'list@1' }
  assert.deepEqual(
    codes({
      list,
      t: { stage: 'text@1', after: [{ step: 'list', each: true }] },
      all: { stage: 'texts@1', after: [{ step: 't', gather: true }] },
    }),
    [],
  )
  assert.deepEqual(
    codes({ list, n: { stage: 'number@1', after: [{ step: 'list', each: true }] } }),
    ['/steps/n/after/0 contract_mismatch'],
  )
  assert.deepEqual(
    codes({ t: { stage: 'text@1' }, b: { stage: 'both@1', after: [{ step: 't', each: true }] } }),
    ['/steps/b/after/0 contract_mismatch'],
  )
  const t = { stage: 'text@1' }
  const n = { stage: 'number@1' }
  assert.deepEqual(codes({ t, n, b: { stage: 'both@1', after: ['t', 'n'] } }), [])
  assert.deepEqual(
    codes({
      t,
      n,
      b: {
        stage: 'both@1',
        after: [
          { step: 'n', as: 't' },
          { step: 't', as: 'n' },
        ],
      },
    }),
    ['/steps/b/after/0 contract_mismatch', '/steps/b/after/1 contract_mismatch'],
  )
  assert.deepEqual(codes({ list }, object({ n: text })), ['/input contract_mismatch'])
})

const graph = fc
  .record({ size: fc.integer({ min: 1, max: 8 }), seed: fc.infiniteStream(fc.nat(1_000)) })
  .map(({ size, seed }) => {
    const steps: Record<string, { stage: string; after: string[] }> = {}
    for (let i = 0; i < size; i++) {
      const after = new Set<string>()
      for (let j = 0; j < size; j++) {
        const draw = seed.next().value as number
        // Mostly forward edges, so that accepted and refused graphs are both frequent.
        if (j !== i && draw < (j < i ? 350 : 25)) after.add(`s${j}`)
        if (j === i && draw < 5) after.add(`x${j}`)
      }
      steps[`s${i}`] = { stage: 'work@1', after: [...after] }
    }
    return steps
  })

/** The definition, written another way: remove what waits for nothing until nothing is left. */
function isAcyclicAndClosed(steps: Record<string, { after: string[] }>): boolean {
  const left = new Map(Object.entries(steps).map(([name, step]) => [name, new Set(step.after)]))
  for (let removed = true; removed; ) {
    removed = false
    for (const [name, after] of left) {
      if (after.size > 0) continue
      left.delete(name)
      for (const other of left.values()) other.delete(name)
      removed = true
    }
  }
  return left.size === 0
}

test('1,000 random graphs are accepted if and only if acyclic and closed, and each cycle is real', () => {
  let accepted = 0
  let refused = 0
  fc.assert(
    fc.property(graph, (steps) => {
      const { errors } = check(steps)
      const isFine = isAcyclicAndClosed(steps)
      assert.equal(errors.length === 0, isFine)
      if (isFine) accepted++
      else refused++
      for (const { code, cycle } of errors) {
        if (code !== 'cycle') continue
        const names = cycle as string[]
        assert.ok(names.length > 2)
        assert.equal(names[0], names.at(-1))
        assert.equal(new Set(names).size, names.length - 1)
        for (let i = 1; i < names.length; i++) {
          assert.ok(steps[names[i] as string]?.after.includes(names[i - 1] as string))
        }
      }
    }),
    { numRuns: 1_000 },
  )
  assert.ok(accepted > 50 && refused > 50, `${accepted} accepted, ${refused} refused`)
})

test('a kind that is not known yet does not refuse a branch', () => {
  const kinds: (StageKind | null)[] = [null, 'route']
  for (const kind of kinds) {
    const { errors } = checkPipeline(
      { steps: { a: work(), b: work([{ step: 'a', when: 'x' }]) } },
      { stages: new Map([['work@1', stage('work@1', { kind })]]) },
    )
    assert.deepEqual(errors, [])
  }
})
