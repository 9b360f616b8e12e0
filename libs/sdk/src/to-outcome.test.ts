import assert from 'node:assert/strict'
import { test } from 'node:test'
import { limits, type StageKind } from '@weir/contracts'
import { Type } from 'typebox'
import { defineStage } from './define-stage.ts'
import type { Outcome } from './outcome.ts'
import type { StageDefinition } from './stage.ts'
import { Permanent, Transient } from './task-errors.ts'
import { testStage } from './test-stage.ts'
import { finalOutcome } from './to-outcome.ts'

type Run = NonNullable<StageDefinition['run']>

async function outcomeOf(run: Run, more: Partial<StageDefinition> = {}): Promise<Outcome> {
  const stage = defineStage({ name: 'some', version: '1.0.0', ...more, run })
  return (await testStage(stage).run({ a: 1 })).outcome
}

const raise = (error: unknown) => () => {
  throw error
}

/** Enough of an outcome for a table. */
function brief(outcome: Outcome): string {
  switch (outcome.status) {
    case 'ok':
      return `ok ${outcome.json}${outcome.taken === null ? '' : ` to ${outcome.taken.join()}`}`
    case 'skip':
    case 'cancel':
      return `${outcome.status} ${outcome.reason}`
    case 'fail':
      return `fail ${outcome.error.class} ${outcome.error.code}`
    case 'retry':
      return `retry ${outcome.error.class} ${outcome.error.code} ${outcome.retryAfterMs}`
    default:
      return outcome satisfies never
  }
}

const network = Object.assign(new TypeError('fetch failed'), {
  cause: Object.assign(new Error('connect ECONNREFUSED 10.1.2.3:5432'), { code: 'ECONNREFUSED' }),
})
const busy = Object.assign(new Error('busy'), {
  response: { status: 503, headers: new Headers({ 'retry-after': '2' }) },
})
class Thing {
  a = 1
}
const cycle: { self?: unknown } = {}
cycle.self = cycle

const rows: [name: string, run: Run, expected: string, kind?: StageKind][] = [
  ['a plain value', () => ({ b: 2 }), 'ok {"b":2}'],
  ['a promise', async () => [1, 2], 'ok [1,2]'],
  ['nothing', () => {}, 'ok null'],
  ['null', () => null, 'ok null'],
  ['false', () => false, 'ok false'],
  ['skip', (_, ctx) => ctx.skip('no need'), 'skip no need'],
  ['cancel', (_, ctx) => ctx.cancel('changed my mind'), 'cancel changed my mind'],
  ['a route', (_, ctx) => ctx.route(['x', 'y', 'x'], 5), 'ok 5 to x,y', 'route'],
  ['a route to nowhere', (_, ctx) => ctx.route([], 5), 'ok 5 to ', 'route'],
  ['skip in a route', (_, ctx) => ctx.skip('no'), 'skip no', 'route'],
  ['a plain value of a route', () => 5, 'fail contract route_missing', 'route'],
  ['a route of another stage', (_, ctx) => ctx.route(['x'], 5), 'fail contract not_a_route'],
  ['nothing from a guard', () => {}, 'fail contract guard_undecided', 'guard'],
  ['an answer of a guard', () => true, 'ok true', 'guard'],
  ['Permanent', raise(new Permanent('bad', 'it is')), 'fail permanent bad'],
  ['Permanent, returned', () => new Permanent('bad', 'it is'), 'fail permanent bad'],
  ['Transient', raise(new Transient('busy', 'is')), 'retry transient busy null'],
  [
    'Transient with a time',
    raise(new Transient('busy', 'is', { retryAfterMs: 70 })),
    'retry transient busy 70',
  ],
  ['a code with blanks', raise(new Permanent('Not Good', '')), 'fail permanent not_good'],
  ['any error', raise(new Error('boom')), 'retry transient handler_error null'],
  ['any error, returned', () => new Error('boom'), 'retry transient handler_error null'],
  ['a string', raise('boom'), 'retry transient handler_error null'],
  ['undefined', raise(undefined), 'retry transient handler_error null'],
  ['a network error', raise(network), 'retry transient network_error null'],
  ['503', raise(busy), 'retry overload upstream_overloaded 2000'],
  ['429', raise({ statusCode: 429 }), 'retry overload upstream_overloaded null'],
  ['404', raise({ statusCode: 404 }), 'retry transient handler_error null'],
  [
    'another timeout',
    raise(AbortSignal.abort(new DOMException('', 'TimeoutError')).reason),
    'retry transient upstream_timeout null',
  ],
  ['a thrown skip', (_, ctx) => raise(ctx.skip('x'))(), 'fail contract unknown_outcome'],
  [
    'an outcome of another version',
    () => ({ [Symbol.for('weir.outcome')]: true, weir: 'later' }),
    'fail contract unknown_outcome',
  ],
  [
    'skip without a reason',
    (_, ctx) => ctx.skip(undefined as never),
    'fail contract unknown_outcome',
  ],
  ['NaN', () => ({ a: Number.NaN }), 'fail contract output_invalid'],
  ['a date', () => ({ at: new Date() }), 'fail contract output_invalid'],
  ['a map', () => new Map(), 'fail contract output_invalid'],
  ['an instance', () => new Thing(), 'fail contract output_invalid'],
  ['a function', () => (() => 1) as unknown, 'fail contract output_invalid'],
  ['a bigint', () => 1n, 'fail contract output_invalid'],
  ['a cycle', () => cycle, 'fail contract output_invalid'],
  ['a hole', () => [1, undefined], 'fail contract output_invalid'],
  ['an undefined member', () => ({ a: undefined, b: 1 }), 'ok {"b":1}'],
  ['too much', () => 'x'.repeat(limits.outputBytes), 'fail contract output_too_large'],
  ['too much in bytes', () => 'ä'.repeat(limits.outputBytes / 2), 'fail contract output_too_large'],
]

for (const [name, run, expected, kind = 'transform'] of rows) {
  test(`${name} is: ${expected.slice(0, 50)}`, async () => {
    assert.equal(brief(await outcomeOf(run, { kind })), expected)
  })
}

test('an output that its contract refuses is a contract error that names the field', async () => {
  const output = Type.Object({ km: Type.Number() })
  const outcome = await outcomeOf((() => ({ km: 'far' })) as Run, { output } as object)
  assert.equal(outcome.status, 'fail')
  assert.deepEqual(outcome.error, {
    code: 'output_invalid',
    message: 'some@1: its output is not valid: /km must be number',
    class: 'contract',
  })
})

test('an input that its contract refuses does not reach the handler', async () => {
  let calls = 0
  const stage = defineStage({
    name: 'some',
    version: '1.0.0',
    input: Type.Object({ from: Type.String() }),
    run: () => {
      calls += 1
    },
  })
  const { outcome } = await testStage(stage).run({})
  assert.equal(outcome.status, 'fail')
  assert.match(outcome.error.message, /\/from is missing/)
  assert.equal(calls, 0)
})

test('errors of another copy of the package are recognised', async () => {
  const path = './task-errors.ts?copy'
  const copy = (await import(path)) as typeof import('./task-errors.ts')
  assert.notEqual(copy.Permanent, Permanent)
  const permanent = await outcomeOf(raise(new copy.Permanent('bad', 'it is')))
  assert.equal(brief(permanent), 'fail permanent bad')
  const transient = await outcomeOf(raise(new copy.Transient('busy', 'is', { retryAfterMs: 5 })))
  assert.equal(brief(transient), 'retry transient busy 5')
})

test('what a network error says of hosts and ports stays out of the tenant’s sight', async () => {
  const outcome = await outcomeOf(raise(network))
  assert.equal(outcome.status, 'retry')
  assert.equal(outcome.error.message, 'The network failed (ECONNREFUSED)')
})

test('what could not be parsed is not quoted, in whichever place it was parsed', async () => {
  const parse = () => JSON.parse('secret') as never
  assert.throws(parse, /secret/)
  const thrown = await outcomeOf(parse)
  const unreadable = await outcomeOf(() => ({
    get member() {
      return parse()
    },
  }))
  const vendor = { version: 1, vendor: 'some', validate: parse } as const
  const input = { '~standard': vendor }
  const refused = await outcomeOf(() => 1, { input })
  for (const outcome of [thrown, unreadable, refused]) {
    assert.ok(outcome.status === 'retry' || outcome.status === 'fail')
    assert.match(outcome.error.message, /could not be parsed/)
    assert.doesNotMatch(outcome.error.message, /secret/)
  }
})

test('optional enrichment that fails for good is left out', async () => {
  const failing = raise(new Permanent('gone', 'no such thing'))
  const optional = { kind: 'enrich', optional: true } as const
  assert.equal(brief(await outcomeOf(failing, optional)), 'skip optional: gone')
  assert.equal(brief(await outcomeOf(failing, { kind: 'enrich' })), 'fail permanent gone')
  const stage = defineStage({ name: 'some', version: '1.0.0', ...optional, run: failing })
  const error = { code: 'busy', message: '', class: 'transient' } as const
  assert.equal(brief(finalOutcome(stage, error)), 'skip optional: busy')
})

test('work does not run without an idempotency key', async () => {
  let calls = 0
  const run = () => {
    calls += 1
  }
  const stage = defineStage({ name: 'pay', version: '1.0.0', kind: 'work', run })
  const { outcome } = await testStage(stage).run(1, { idempotencyKey: '' })
  assert.equal(brief(outcome), 'fail contract idempotency_key_missing')
  assert.equal(calls, 0)
  assert.equal(brief((await testStage(stage).run(1)).outcome), 'ok null')
})
