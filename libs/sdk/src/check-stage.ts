import { isDeepStrictEqual } from 'node:util'
import { hash128 } from '@weir/contracts'
import type { InjectedFault } from './injected-fault.ts'
import type { Outcome } from './outcome.ts'
import type { Stage } from './stage.ts'
import { type TestResult, type TestTask, testStage } from './test-stage.ts'

/** An input, and what the stage is to make of it: one of `output`, `fails` and `skips`. */
export type StageExample = {
  readonly input: unknown
  readonly output?: unknown
  /** The code of the error with which it fails, for good or for now. */
  readonly fails?: string
  /** The reason, or true for any. */
  readonly skips?: string | true
  /** Routes: the branches that are taken. */
  readonly takes?: readonly string[]
  /** What else the task says: config, join, budget, … */
  readonly task?: TestTask
}

/** The rules that the engine relies on, by name; docs/guides/stages.md says more about each. */
export const STAGE_RULES = [
  'contracts',
  'examples',
  'input_kept',
  'redelivery',
  'second_attempt',
  'deterministic',
  'parallel',
  'abort',
  'cleanups',
] as const
export type StageRule = (typeof STAGE_RULES)[number]

export type StageFault = {
  readonly rule: StageRule
  /** Index of the example; none where the rule is about the stage as a whole. */
  readonly example?: number
  readonly message: string
}

export class StageCheckError extends Error {
  readonly faults: readonly StageFault[]

  constructor(stage: Stage, faults: readonly StageFault[]) {
    const lines = faults.map(({ rule, example, message }) => {
      return `  ${rule}${example === undefined ? '' : `, example ${example}`}: ${message}`
    })
    super(`${stage.ref} ${stage.version} breaks the rules of stages:\n${lines.join('\n')}`)
    this.name = 'StageCheckError'
    this.faults = faults
  }
}

/**
 * Checks that a stage keeps the rules of stages, without Kafka: runs every example alone and all at
 * once, twice, aborted, out of time and at its second attempt. Each example runs about ten times, so
 * what has effects is given something that only pretends. Rejects with all faults in one
 * `StageCheckError`.
 */
export async function checkStage(stage: Stage, examples: readonly StageExample[]): Promise<void> {
  const faults = await findStageFaults(stage, examples)
  if (faults.length > 0) throw new StageCheckError(stage, faults)
}

/** The same as a list, empty where all rules are kept. */
export async function findStageFaults(
  stage: Stage,
  examples: readonly StageExample[],
): Promise<readonly StageFault[]> {
  const faults = findContractFaults(stage)
  if (examples.length === 0) faults.push({ rule: 'examples', message: 'there are none' })
  const alone: Outcome[] = []
  for (const [index, example] of examples.entries()) {
    const add = (rule: StageRule, message: string) => {
      faults.push({ rule, example: index, message })
    }
    const { outcome } = await testStage(stage).run(example.input, taskOf(example, 'alone'))
    alone.push(outcome)
    checkOutcome(example, outcome, add)
    await checkRepeats(stage, example, outcome, add)
    await checkAborts(stage, example, add)
  }
  const together = await Promise.all(
    examples.map((example, index) =>
      testStage(stage).run(example.input, taskOf(example, `together ${index}`)),
    ),
  )
  for (const [index, { outcome }] of together.entries()) {
    const fault = differ(alone[index] as Outcome, outcome, stage.deterministic)
    if (fault === undefined) continue
    faults.push({ rule: 'parallel', example: index, message: `beside the others ${fault}` })
  }
  return faults
}

function findContractFaults(stage: Stage): StageFault[] {
  return (['input', 'output'] as const).flatMap((side) => {
    const { $schema: _, ...says } = stage.contracts[side] as Record<string, unknown>
    if (Object.keys(says).length > 0) return []
    const message = `it declares no ${side}: nothing is checked, and no version can break another`
    return [{ rule: 'contracts', message } as const]
  })
}

type Add = (rule: StageRule, message: string) => void

function checkOutcome(example: StageExample, outcome: Outcome, add: Add): void {
  if ('error' in outcome) {
    const { message } = outcome.error
    // Strict mode is where assigning to what is frozen throws.
    if (/read only property|not extensible|Cannot delete property/.test(message)) {
      add('input_kept', `it changes its input: ${message}`)
      return
    }
  }
  const fault = findFault(example, outcome)
  if (fault !== undefined) add('examples', fault)
}

function findFault(example: StageExample, outcome: Outcome): string | undefined {
  const { fails, skips, takes } = example
  const got = describe(outcome)
  if (fails !== undefined) {
    const isIt = 'error' in outcome && outcome.error.code === fails
    return isIt ? undefined : `it was to fail with ${fails}, but ${got}`
  }
  if (skips !== undefined) {
    const isIt = outcome.status === 'skip' && (skips === true || outcome.reason === skips)
    return isIt ? undefined : `it was to be skipped, but ${got}`
  }
  if (outcome.status !== 'ok') return `it was to be ok, but ${got}`
  if ('output' in example && !isDeepStrictEqual(JSON.parse(outcome.json), toJson(example.output))) {
    return `its output was to be ${JSON.stringify(example.output)}, but ${got}`
  }
  if (takes !== undefined && !isDeepStrictEqual(outcome.taken, takes)) {
    return `it was to take ${takes.join(', ')}, but took ${outcome.taken?.join(', ') ?? 'none'}`
  }
  return undefined
}

const toJson = (value: unknown): unknown => JSON.parse(JSON.stringify(value ?? null))

/** A task runs again after a crash, and nobody tells it; it also runs again because it failed. */
async function checkRepeats(
  stage: Stage,
  example: StageExample,
  first: Outcome,
  add: Add,
): Promise<void> {
  for (const fault of ['redelivery', 'second_attempt'] as const) {
    const results = await underFault(stage, fault, example)
    // Something that fails for now may well succeed later: that is what attempts are for.
    if (fault === 'second_attempt' && first.status === 'retry') continue
    for (const { outcome } of results) {
      const found = differ(first, outcome, false)
      if (found === undefined) continue
      add(fault, `run again, ${found}`)
      break
    }
  }
  if (!stage.deterministic) return
  const elsewhere = { job: '00000000-0000-7000-8000-000000000002', run: 2 }
  const task = { ...taskOf(example, 'elsewhere'), ...elsewhere, correlationId: 'another' }
  const { outcome } = await testStage(stage).run(example.input, task)
  const found = differ(first, outcome, true)
  if (found !== undefined) add('deterministic', `for another job ${found}`)
}

/** The handler returns once its signal is aborted; and what it registered to be cleaned up is. */
async function checkAborts(stage: Stage, example: StageExample, add: Add): Promise<void> {
  for (const fault of ['cancel', 'shutdown', 'timeout'] as const) {
    for (const { isDetached, cleanups } of await underFault(stage, fault, example)) {
      if (isDetached) add('abort', `after a ${fault} it does not return: it is to heed ctx.signal`)
      const broken = cleanups.filter(({ status }) => status !== 'done')
      if (broken.length > 0) add('cleanups', `after a ${fault} ${broken.length} did not end well`)
    }
  }
}

const underFault = (
  stage: Stage,
  fault: InjectedFault,
  example: StageExample,
): Promise<readonly TestResult[]> =>
  testStage(stage).withFault(fault, example.input, taskOf(example, fault))

/** Each part of the check is about a task of its own, which the stage has never seen. */
const taskOf = ({ task }: StageExample, part: string): TestTask => ({
  idempotencyKey: hash128('check', part),
  ...task,
})

/** What one outcome is in place of another; undefined where it is the same, as far as is asked. */
function differ(first: Outcome, second: Outcome, isExact: boolean): string | undefined {
  const isSame =
    first.status === second.status &&
    (!('error' in first) || !('error' in second) || first.error.code === second.error.code) &&
    (!isExact || first.status !== 'ok' || second.status !== 'ok' || first.json === second.json)
  return isSame ? undefined : `${describe(second)}, where it ${describe(first)} before`
}

function describe(outcome: Outcome): string {
  switch (outcome.status) {
    case 'ok':
      return `gave ${outcome.json.slice(0, 200)}`
    case 'skip':
    case 'cancel':
      return `said ${outcome.status} (${outcome.reason})`
    case 'fail':
    case 'retry':
      return `failed with ${outcome.error.code}: ${outcome.error.message}`
  }
}
