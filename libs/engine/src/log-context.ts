import type { Envelope } from '@weir/contracts'
import type { Task } from '@weir/core'
import type { LogContext } from '@weir/runtime'

/** What every line about a message names; `traceparent`: the context of what is done with it. */
export function messageContext(
  stage: { readonly ref: string },
  { tenant, job, correlation, meta, traceparent: given }: Envelope,
  attempt = meta.attempt,
  traceparent = given,
): LogContext {
  return {
    tenant,
    job,
    run: meta.run,
    correlation,
    stage: stage.ref,
    step: meta.step,
    item: meta.item,
    attempt,
    traceparent,
  }
}

/** The same for an attempt of a task. */
export function taskContext(
  stage: { readonly ref: string },
  { envelope, attempt }: Task,
  traceparent: string,
): LogContext {
  return messageContext(stage, envelope, attempt, traceparent)
}
