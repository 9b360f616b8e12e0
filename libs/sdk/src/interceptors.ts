import type { TaskError } from '@weir/contracts'
import { contractFailure } from './classify.ts'
import { type Clock, settleWithin, systemClock } from './clock.ts'
import type { StageContext } from './context.ts'
import type { ErrorAction, Interceptor, ShortCircuit } from './interceptor.ts'
import { cancel, type Outcome, route, skip } from './outcome.ts'
import type { Stage } from './stage.ts'
import { Permanent, Transient } from './task-errors.ts'
import { toOutcome } from './to-outcome.ts'

/** An interceptor that waits longer than this has failed. */
export const INTERCEPTOR_MAX_MS = 1_000
const INTERCEPTORS_MAX = 50
const KEYS = ['name', 'priority', 'critical', 'before', 'after', 'onError']

/** The order in which interceptors run, whatever the order of registration. Throws on faults. */
export function orderInterceptors(given: readonly Interceptor[]): readonly Interceptor[] {
  if (!Array.isArray(given)) throw new Error('must be a list')
  if (given.length > INTERCEPTORS_MAX) throw new Error(`are more than ${INTERCEPTORS_MAX}`)
  const names = new Set<string>()
  for (const { name, priority, ...rest } of given as readonly Interceptor[]) {
    if (typeof name !== 'string' || name === '') throw new Error('each needs a name')
    if (names.has(name)) throw new Error(`"${name}" is there twice`)
    names.add(name)
    if (!Number.isSafeInteger(priority)) throw new Error(`"${name}" needs a whole priority`)
    const unknown = Object.keys(rest).find((key) => !KEYS.includes(key))
    if (unknown !== undefined) throw new Error(`"${name}" has the unknown option "${unknown}"`)
  }
  return Object.freeze(
    given.toSorted((a, b) => a.priority - b.priority || (a.name < b.name ? -1 : 1)),
  )
}

/** What the interceptors of one task did on the way in. */
export type Entered = {
  /** Those whose `before` was called; the same will be called on the way back. */
  readonly interceptors: readonly Interceptor[]
  /** The handler must not run: this is the outcome. */
  readonly shortCircuit: Outcome | null
}

/** Runs each `before`, outermost first, until one answers with an outcome. */
export async function enterInterceptors(
  stage: Stage,
  input: unknown,
  ctx: StageContext,
  clock: Clock = systemClock,
): Promise<Entered> {
  const entered: Interceptor[] = []
  for (const interceptor of stage.interceptors) {
    entered.push(interceptor)
    if (interceptor.before === undefined) continue
    const call = await callOne(clock, interceptor, 'before', ctx, () =>
      interceptor.before?.(input, ctx),
    )
    if (!call.ok) {
      const shortCircuit = toOutcome(stage, { thrown: call.error })
      return { interceptors: entered, shortCircuit }
    }
    if (call.value !== undefined) {
      const shortCircuit = fromShortCircuit(stage, interceptor.name, call.value)
      return { interceptors: entered, shortCircuit }
    }
  }
  return { interceptors: entered, shortCircuit: null }
}

/** Runs `onError` and `after` on the way back, innermost first; each sees what the one before made. */
export async function leaveInterceptors(
  stage: Stage,
  entered: Entered,
  first: Outcome,
  ctx: StageContext,
  clock: Clock = systemClock,
): Promise<Outcome> {
  let outcome = first
  for (const interceptor of entered.interceptors.toReversed()) {
    // What is over cannot be turned into something else.
    if ((outcome.status === 'fail' || outcome.status === 'retry') && !isOver(outcome.error)) {
      const { error } = outcome
      const call = await callOne(clock, interceptor, 'onError', ctx, () =>
        interceptor.onError?.(error, ctx),
      )
      if (!call.ok) outcome = toOutcome(stage, { thrown: call.error })
      else if (call.value !== undefined) {
        outcome = fromAction(stage, interceptor.name, outcome, call.value)
      }
    }
    const seen = outcome
    const call = await callOne(clock, interceptor, 'after', ctx, () =>
      interceptor.after?.(seen, ctx),
    )
    if (!call.ok) outcome = toOutcome(stage, { thrown: call.error })
  }
  return outcome
}

type Failed = Extract<Outcome, { status: 'fail' | 'retry' }>

type Call<Value> =
  | { readonly ok: true; readonly value: Value | undefined }
  | { readonly ok: false; readonly error: unknown }

/** One bounded call. Only that of a critical interceptor can fail: others are logged and passed. */
async function callOne<Value>(
  clock: Clock,
  interceptor: Interceptor,
  phase: 'before' | 'after' | 'onError',
  ctx: StageContext,
  fn: () => Value,
): Promise<Call<Awaited<Value>>> {
  let error: unknown
  try {
    const value = fn()
    if (!isThenable(value)) return { ok: true, value: value as Awaited<Value> }
    const settled = await settleWithin(clock, INTERCEPTOR_MAX_MS, value)
    if (settled.status === 'done') return { ok: true, value: settled.value as Awaited<Value> }
    error =
      settled.status === 'failed'
        ? settled.error
        : new Transient('interceptor_timeout', `Interceptor ${interceptor.name} did not return`)
  } catch (thrown) {
    error = thrown
  }
  if (interceptor.critical === true) {
    return { ok: false, error }
  }
  ctx.log.warn({ err: error, interceptor: interceptor.name, phase }, 'interceptor failed')
  return { ok: true, value: undefined }
}

const isThenable = (value: unknown): value is PromiseLike<unknown> =>
  typeof value === 'object' && value !== null && 'then' in value && typeof value.then === 'function'

const isOver = (error: TaskError): boolean =>
  error.class === 'cancelled' || error.class === 'deadline'

function fromShortCircuit(stage: Stage, name: string, value: ShortCircuit): Outcome {
  switch (value?.status) {
    case 'ok':
      return toOutcome(stage, {
        returned: stage.kind === 'route' ? route(value.taken ?? [], value.output) : value.output,
      })
    case 'skip':
      return toOutcome(stage, { returned: skip(value.reason) })
    case 'cancel':
      return toOutcome(stage, { returned: cancel(value.reason) })
    case 'fail':
      return toOutcome(stage, { thrown: new Permanent(value.error.code, value.error.message) })
    case 'retry': {
      const { code, message } = value.error
      const options = value.retryAfterMs === undefined ? {} : { retryAfterMs: value.retryAfterMs }
      return toOutcome(stage, { thrown: new Transient(code, message, options) })
    }
    default:
      return contractFailure(
        'unknown_outcome',
        `${stage.ref}: interceptor ${name} answered with something that is no outcome`,
      )
  }
}

function fromAction(stage: Stage, name: string, failed: Failed, value: ErrorAction): Outcome {
  switch (value?.action) {
    case 'retry':
      return {
        status: 'retry',
        error: failed.error,
        retryAfterMs: value.retryAfterMs ?? null,
      }
    case 'fallback':
      // A guard fails closed: what could not be decided does not pass.
      if (stage.kind === 'guard') return failed
      return toOutcome(stage, { returned: value.output })
    case 'fail':
      return toOutcome(stage, { thrown: new Permanent(value.code, value.message) })
    default:
      return contractFailure(
        'unknown_outcome',
        `${stage.ref}: interceptor ${name} answered an error with something unknown`,
      )
  }
}
