import {
  canonicalJson,
  defaults,
  hash128,
  retrySchema,
  STAGE_KINDS,
  type StageKind,
  stageRefOf,
} from '@weir/contracts'
import { compileContract, describeFaults } from './contract.ts'
import { orderInterceptors } from './interceptors.ts'
import { type JsonSchema, type Schema, toJsonSchema } from './schema.ts'
import type { Stage, StageDefinition } from './stage.ts'

/** Milliseconds that tasks of a kind may take where nothing else is said; null: the plan's. */
const KIND_TIMEOUT_MS: Partial<Record<StageKind, number>> = { agent: 600_000 }
const BATCH = { max: 10, waitMs: 100 }
const LIMITS = {
  timeoutMs: 3_600_000,
  concurrency: 1_000,
  batchMax: 1_000,
  batchWaitMs: 60_000,
}

const OPTIONS = [
  'name',
  'version',
  'kind',
  'input',
  'output',
  'timeoutMs',
  'concurrency',
  'retry',
  'deterministic',
  'optional',
  'interceptors',
  'run',
  'batch',
  'runBatch',
  'init',
  'pause',
  'resume',
  'shutdown',
] as const satisfies readonly (keyof StageDefinition)[]

/**
 * Checks a definition and fills in its defaults. Throws one error that names the stage and every
 * fault, each with its field.
 */
export function defineStage<
  const In extends Schema = JsonSchema,
  const Out extends Schema = JsonSchema,
>(definition: StageDefinition<In, Out>): Stage {
  const given = definition as unknown as StageDefinition
  const faults = findFaults(given)
  const input = attempt(faults, 'input', () => toJsonSchema(given.input, 'input'))
  const output = attempt(faults, 'output', () => toJsonSchema(given.output, 'output'))
  const ref = attempt(faults, 'name', () => stageRefOf(given.name, given.version))
  const checkInput = attempt(faults, 'input', () => compileContract(given.input, input ?? {}))
  const checkOutput = attempt(faults, 'output', () => compileContract(given.output, output ?? {}))
  const interceptors = attempt(faults, 'interceptors', () =>
    orderInterceptors(given.interceptors ?? []),
  )
  if (
    faults.length > 0 ||
    input === undefined ||
    output === undefined ||
    ref === undefined ||
    checkInput === undefined ||
    checkOutput === undefined ||
    interceptors === undefined
  ) {
    throw new Error(`stage "${String(given?.name)}": ${faults.join('; ')}`)
  }
  const kind = given.kind ?? 'transform'
  return Object.freeze({
    ref,
    name: given.name,
    version: given.version,
    kind,
    contracts: { hash: hash128(canonicalJson(input), canonicalJson(output)), input, output },
    input: checkInput,
    output: checkOutput,
    timeoutMs: given.timeoutMs ?? KIND_TIMEOUT_MS[kind] ?? null,
    concurrency: given.concurrency ?? defaults.concurrency,
    retry: given.retry ?? null,
    deterministic: given.deterministic ?? false,
    optional: given.optional ?? false,
    interceptors,
    batch: given.runBatch === undefined ? null : { ...BATCH, ...given.batch },
    handler: handlerOf(given),
    hooks: hooksOf(given),
  })
}

function handlerOf(given: StageDefinition): Stage['handler'] {
  const { run, runBatch } = given
  return runBatch === undefined
    ? { type: 'single', run: (input, ctx) => run?.call(given, input, ctx) }
    : { type: 'batch', run: (inputs, ctxs) => runBatch.call(given, inputs, ctxs) }
}

function hooksOf(given: StageDefinition): Stage['hooks'] {
  return {
    ...(given.init && { init: given.init.bind(given) }),
    ...(given.pause && { pause: given.pause.bind(given) }),
    ...(given.resume && { resume: given.resume.bind(given) }),
    ...(given.shutdown && { shutdown: given.shutdown.bind(given) }),
  }
}

const retryContract = compileContract(retrySchema, toJsonSchema(retrySchema, 'input'))

function findFaults(given: StageDefinition): string[] {
  if (typeof given !== 'object' || given === null) return ['the definition is not an object']
  const faults: string[] = []
  for (const key of Object.keys(given)) {
    if (!(OPTIONS as readonly string[]).includes(key)) faults.push(unknownOption(key))
  }
  const { kind = 'transform' } = given
  if (!STAGE_KINDS.includes(kind)) faults.push(`kind must be one of ${STAGE_KINDS.join(', ')}`)
  whole(faults, 'timeoutMs', given.timeoutMs, 1, LIMITS.timeoutMs)
  whole(faults, 'concurrency', given.concurrency, 1, LIMITS.concurrency)
  checkRetry(faults, given.retry)
  for (const key of ['deterministic', 'optional'] as const) {
    if (given[key] !== undefined && typeof given[key] !== 'boolean') {
      faults.push(`${key} must be true or false`)
    }
  }
  for (const key of ['run', 'runBatch', 'init', 'pause', 'resume', 'shutdown'] as const) {
    if (given[key] !== undefined && typeof given[key] !== 'function') {
      faults.push(`${key} must be a function`)
    }
  }
  if ((given.run === undefined) === (given.runBatch === undefined)) {
    faults.push('it needs either run or runBatch, and not both')
  }
  checkBatch(faults, given)
  if (given.optional === true && kind !== 'enrich') {
    faults.push('optional is for stages of kind enrich')
  }
  if (given.deterministic === true && kind === 'work') {
    faults.push('a stage of kind work has effects and cannot be deterministic')
  }
  return faults
}

function checkRetry(faults: string[], retry: unknown): void {
  if (retry === undefined) return
  const checked = retryContract(retry)
  if (!checked.ok) faults.push(`retry: ${describeFaults(checked.faults)}`)
}

function checkBatch(faults: string[], given: StageDefinition): void {
  const { batch } = given
  if (batch === undefined) return
  if (given.runBatch === undefined) faults.push('batch is for stages with runBatch')
  if (typeof batch !== 'object' || batch === null) {
    faults.push('batch must be an object')
    return
  }
  for (const key of Object.keys(batch)) {
    if (key !== 'max' && key !== 'waitMs') faults.push(`batch has the unknown option "${key}"`)
  }
  whole(faults, 'batch.max', batch.max, 1, LIMITS.batchMax)
  whole(faults, 'batch.waitMs', batch.waitMs, 0, LIMITS.batchWaitMs)
}

function whole(faults: string[], field: string, value: unknown, min: number, max: number): void {
  if (value === undefined) return
  if (Number.isSafeInteger(value) && Number(value) >= min && Number(value) <= max) return
  faults.push(`${field} must be a whole number from ${min} to ${max}`)
}

function attempt<Value>(faults: string[], field: string, fn: () => Value): Value | undefined {
  try {
    return fn()
  } catch (error) {
    faults.push(`${field}: ${error instanceof Error ? error.message : String(error)}`)
    return undefined
  }
}

function unknownOption(key: string): string {
  const near = OPTIONS.find((option) => isNear(option.toLowerCase(), key.toLowerCase()))
  return `unknown option "${key}"${near === undefined ? '' : `, did you mean "${near}"?`}`
}

/** `timeout` for `timeoutMs`, `handle` for nothing, `retries` for `retry`. */
function isNear(option: string, key: string): boolean {
  if (option.startsWith(key) || key.startsWith(option)) return true
  return key.length > 4 && option.slice(0, 4) === key.slice(0, 4)
}
