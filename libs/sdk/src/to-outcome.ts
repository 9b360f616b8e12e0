import { limits, type TaskError } from '@weir/contracts'
import { classifyThrown, contractFailure, messageOf } from './classify.ts'
import { describeFaults } from './contract.ts'
import { findJsonFault } from './json-fault.ts'
import type { Outcome } from './outcome.ts'
import type { Stage } from './stage.ts'
import { isBranded } from './task-errors.ts'

/** How a handler ended; `violated` is how it broke the rules of batches. */
export type Settled =
  | { readonly returned: unknown }
  | { readonly thrown: unknown }
  | { readonly violated: string }

const REASON_MAX = 500
const BRANCHES_MAX = 100
const BRANCH_LENGTH_MAX = 64

/**
 * The one way from what a handler returned or threw to an outcome, output contract included. What
 * it does not know is a contract error, never a success.
 */
export function toOutcome(stage: Stage, settled: Settled): Outcome {
  try {
    if ('thrown' in settled) return classifyThrown(settled.thrown)
    if ('violated' in settled) {
      return contractFailure('batch_mismatch', `${stage.ref}: ${settled.violated}`)
    }
    const { returned } = settled
    if (returned instanceof Error) return classifyThrown(returned)
    if (isBranded(returned)) return fromBranded(stage, returned)
    if (stage.kind === 'route') {
      return contractFailure(
        'route_missing',
        `${stage.ref} is a route: it returns ctx.route(names, output)`,
      )
    }
    if (stage.kind === 'guard' && returned === undefined) {
      // A guard fails closed: saying nothing lets nothing pass.
      return contractFailure('guard_undecided', `${stage.ref} is a guard and returned nothing`)
    }
    return toOk(stage, returned, null)
  } catch (error) {
    // A getter or a schema's own code threw while the value was looked at.
    const message = `${stage.ref}: its output cannot be read (${messageOf(error)})`
    return contractFailure('output_invalid', message)
  }
}

/**
 * What a failure comes to when no attempt is left: optional enrichment is left out, not failed. The
 * engine asks when a step's attempts are used up; a failure for good has passed here already.
 */
export function finalOutcome(stage: Stage, error: TaskError): Outcome {
  return stage.optional && error.class !== 'cancelled' && error.class !== 'deadline'
    ? { status: 'skip', reason: `optional: ${error.code}` }
    : { status: 'fail', error }
}

function fromBranded(stage: Stage, value: { readonly weir: unknown }): Outcome {
  const { weir, reason, names, output } = value as Partial<Record<string, unknown>>
  switch (weir) {
    case 'skip':
    case 'cancel':
      return typeof reason === 'string'
        ? { status: weir, reason: reason.slice(0, REASON_MAX) }
        : contractFailure('unknown_outcome', `${stage.ref}: ctx.${weir} takes a reason`)
    case 'permanent':
    case 'transient':
      return classifyThrown(value)
    case 'route':
      if (stage.kind !== 'route') {
        return contractFailure('not_a_route', `${stage.ref}: only stages of kind route may route`)
      }
      return isBranches(names)
        ? toOk(stage, output, [...new Set(names)])
        : contractFailure('unknown_outcome', `${stage.ref}: ctx.route takes a list of names`)
    default:
      return contractFailure('unknown_outcome', `${stage.ref} returned an outcome unknown here`)
  }
}

const isBranches = (names: unknown): names is string[] =>
  Array.isArray(names) &&
  names.length <= BRANCHES_MAX &&
  names.every((name) => typeof name === 'string' && name !== '' && name.length <= BRANCH_LENGTH_MAX)

const UTF8_MAX_BYTES = 3

/** Counts bytes only where the number of characters leaves it open. */
const isLargerThan = (text: string, maxBytes: number): boolean =>
  text.length * UTF8_MAX_BYTES > maxBytes && Buffer.byteLength(text) > maxBytes

function toOk(stage: Stage, returned: unknown, taken: readonly string[] | null): Outcome {
  const checked = stage.output(returned === undefined ? null : returned)
  if (!checked.ok) {
    const faults = describeFaults(checked.faults)
    return contractFailure('output_invalid', `${stage.ref}: its output is not valid: ${faults}`)
  }
  const output = checked.value === undefined ? null : checked.value
  const fault = findJsonFault(output)
  if (fault !== null) {
    const faults = describeFaults([fault])
    return contractFailure('output_invalid', `${stage.ref}: its output is not JSON: ${faults}`)
  }
  const json = JSON.stringify(output)
  if (isLargerThan(json, limits.outputBytes)) {
    return contractFailure(
      'output_too_large',
      `${stage.ref}: its output is larger than ${limits.outputBytes} bytes`,
    )
  }
  return { status: 'ok', output, json, taken }
}
