import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'
import { Type } from 'typebox'
import {
  checkStage,
  defineStage,
  findStageFaults,
  INJECTED_FAULTS,
  Permanent,
  STAGE_RULES,
  StageCheckError,
  type StageDefinition,
  type StageExample,
  type StageRule,
  Transient,
  testStage,
} from './index.ts'

const contracts = {
  input: Type.Object({ n: Type.Number() }),
  output: Type.Object({ n: Type.Any() }),
}
type Definition = StageDefinition<typeof contracts.input, typeof contracts.output>

const stageOf = (change: Partial<Definition>) =>
  defineStage({
    name: 'subject',
    version: '1.0.0',
    ...contracts,
    run: ({ n }) => ({ n: n + 1 }),
    ...change,
  } as Definition)

const one: readonly StageExample[] = [{ input: { n: 1 }, output: { n: 2 } }]

test('a stage that keeps the rules passes, whatever its outcomes are', async () => {
  const careful = stageOf({
    deterministic: true,
    async run({ n }, ctx) {
      ctx.onCleanup(() => {})
      if (n < 0) throw new Permanent('negative', 'It is negative')
      if (n === 0) return ctx.skip('zero')
      if (n === 99 && ctx.attempt < 2) throw new Transient('not_yet', 'Not yet')
      await pause(20, undefined, { signal: ctx.signal })
      return { n: n + 1 }
    },
  })
  await checkStage(careful, [
    ...one,
    { input: { n: -1 }, fails: 'negative' },
    { input: { n: 0 }, skips: 'zero' },
    { input: { n: 99 }, fails: 'not_yet' },
    { input: { n: 'one' }, fails: 'input_invalid' },
  ])
})

/** For each rule a stage of somebody who has overlooked it. */
const offenders: Record<StageRule, () => Parameters<typeof findStageFaults>> = {
  contracts: () => [
    defineStage({ name: 'subject', version: '1.0.0', run: () => 1 }),
    [{ input: 1 }],
  ],
  examples: () => [stageOf({}), [{ input: { n: 1 }, output: { n: 3 } }]],
  input_kept: () => [
    stageOf({
      run: (input) => {
        ;(input as { n: number }).n += 1
        return input
      },
    }),
    one,
  ],
  redelivery: () => {
    const seen = new Set<string>()
    const run: Definition['run'] = ({ n }, { idempotencyKey, attempt }) => {
      const id = `${idempotencyKey} ${attempt}`
      if (seen.has(id)) throw new Permanent('duplicate', 'I have seen it')
      seen.add(id)
      return { n: n + 1 }
    }
    return [stageOf({ run }), one]
  },
  second_attempt: () => {
    const run: Definition['run'] = ({ n }, { attempt }) => {
      if (attempt > 1) throw new Permanent('too_late', 'Only once')
      return { n: n + 1 }
    }
    return [stageOf({ run }), one]
  },
  deterministic: () => {
    const run: Definition['run'] = ({ n }, { job }) => ({ n: `${n} of ${job}` })
    return [stageOf({ deterministic: true, run }), [{ input: { n: 1 } }]]
  },
  parallel: () => {
    let isBusy = false
    const run: Definition['run'] = async ({ n }) => {
      if (isBusy) throw new Permanent('busy', 'One at a time')
      isBusy = true
      await pause(5)
      isBusy = false
      return { n: n + 1 }
    }
    return [stageOf({ run }), [...one, ...one]]
  },
  abort: () => {
    const run: Definition['run'] = async ({ n }) => {
      await pause(1_200)
      return { n: n + 1 }
    }
    return [stageOf({ run }), one]
  },
  cleanups: () => {
    const run: Definition['run'] = ({ n }, ctx) => {
      ctx.onCleanup(() => {
        throw new Error('the file is gone')
      })
      return { n: n + 1 }
    }
    return [stageOf({ run }), one]
  },
}

for (const rule of STAGE_RULES) {
  test(`a stage that breaks the rule ${rule} fails, and is told which`, async () => {
    const faults = await findStageFaults(...offenders[rule]())
    assert.deepEqual(
      [...new Set(faults.map((fault) => fault.rule))],
      [rule],
      JSON.stringify(faults),
    )
  })
}

test('all faults come in one error, with rule, example and what happened', async () => {
  const wrong: readonly StageExample[] = [
    { input: { n: 1 }, output: { n: 1 } },
    { input: { n: 2 }, fails: 'never' },
  ]
  const error = await checkStage(stageOf({}), wrong).catch((thrown: unknown) => thrown)
  assert.ok(error instanceof StageCheckError)
  assert.deepEqual(
    error.faults.map(({ example }) => example),
    [0, 1],
  )
  assert.match(error.message, /examples, example 1: it was to fail with never, but gave \{"n":3\}/)
  const none = await findStageFaults(stageOf({}), [])
  assert.equal(none[0]?.rule, 'examples')
})

test('each fault is what the handler of a real instance would meet', async () => {
  const seen: unknown[] = []
  const stage = stageOf({
    async run({ n }, ctx) {
      seen.push([ctx.attempt, ctx.idempotencyKey])
      await pause(50, undefined, { signal: ctx.signal })
      return { n }
    },
  })
  const outcomes: Record<string, unknown> = {}
  for (const fault of INJECTED_FAULTS) {
    const results = await testStage(stage).withFault(fault, { n: 1 })
    outcomes[fault] = results.map(({ outcome }) =>
      'error' in outcome ? outcome.error.code : outcome.status,
    )
  }
  assert.deepEqual(outcomes, {
    cancel: ['cancelled'],
    shutdown: ['instance_stopping'],
    timeout: ['timeout'],
    redelivery: ['ok', 'ok'],
    second_attempt: ['ok', 'ok'],
  })
  const key = (seen[0] as [number, string])[1]
  assert.deepEqual(seen.slice(-4), [
    [1, key],
    [1, key],
    [1, key],
    [2, key],
  ])
})
