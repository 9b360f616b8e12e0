import type { TaskError } from '@weir/contracts'
import type { Task, TaskEnd } from '@weir/core'
import { finalOutcome, type Outcome, type Stage } from '@weir/sdk'

/** `left`: the instance stops; the task stays as it is, for the next owner of the partition. */
export type Ended = TaskEnd | { readonly end: 'left' }

export type TaskEndOptions = {
  readonly stage: Stage
  readonly retryDelayMs: (task: Task) => number
}

/** What the outcome of an attempt means for its task. */
export function toTaskEnd(
  { stage, retryDelayMs }: TaskEndOptions,
  task: Task,
  outcome: Outcome,
  nowMs: number,
): Ended {
  if (outcome.status !== 'retry') return { end: 'result', result: toResult(outcome) }
  if (outcome.error.code === 'instance_stopping') return { end: 'left' }
  const retryAfterMs = Math.round(outcome.retryAfterMs ?? retryDelayMs(task))
  const isSpent = outcome.error.class !== 'overload' && task.attempt >= task.step.retry.attempts
  if (isSpent || nowMs + retryAfterMs >= task.envelope.meta.notAfter) {
    // Here, not in the partition: an optional stage's failure becomes a skip.
    return { end: 'result', result: toResult(finalOutcome(stage, outcome.error)) }
  }
  return { end: 'retry', error: outcome.error, retryAfterMs }
}

function toResult(outcome: Outcome): Extract<TaskEnd, { end: 'result' }>['result'] {
  switch (outcome.status) {
    case 'ok':
      return { status: 'ok', output: outcome.json, taken: outcome.taken }
    case 'skip':
      return { status: 'skip', reason: outcome.reason, failedBefore: false }
    case 'cancel':
      return { status: 'cancel', reason: outcome.reason }
    case 'fail':
    case 'retry':
      return { status: 'fail', error: outcome.error }
    default:
      return outcome satisfies never
  }
}

/** The failure of a task whose payload is not JSON. */
export function payloadFault(): TaskError {
  return { code: 'input_malformed', message: 'The payload is not JSON.', class: 'contract' }
}
