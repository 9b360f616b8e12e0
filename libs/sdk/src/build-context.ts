import { INVALID_SPAN_CONTEXT, trace } from '@opentelemetry/api'
import type { Logger } from 'pino'
import type { Cleanups } from './cleanups.ts'
import type { Clock } from './clock.ts'
import type { Budget, StageContext } from './context.ts'
import { deepFreeze } from './freeze.ts'
import { cancel, route, skip } from './outcome.ts'
import type { Stage } from './stage.ts'
import type { Task } from './task.ts'

const OPEN_BUDGET: Budget = { take: async () => {} }

/** The context of one attempt. `endsAt` is where timeout or not-after ends it, epoch milliseconds. */
export function buildContext(
  stage: Stage,
  task: Task,
  clock: Clock,
  endsAt: number,
  signal: AbortSignal,
  cleanups: Cleanups,
): StageContext {
  const { fields } = task
  deepFreeze(fields.config)
  let log: Logger | undefined
  const own = {
    get deadline() {
      return Math.max(0, endsAt - clock.now())
    },
    signal,
    // Made when it is used: most tasks say nothing.
    get log() {
      log ??= task.log.child({
        tenant: fields.tenant,
        job: fields.job,
        run: fields.run,
        correlation: fields.correlationId,
        stage: stage.ref,
        step: fields.step,
        item: fields.item,
        attempt: fields.attempt,
      })
      return log
    },
    get span() {
      return task.span ?? trace.getActiveSpan() ?? trace.wrapSpanContext(INVALID_SPAN_CONTEXT)
    },
    onCleanup: cleanups.add,
    budget: (name: string) => task.budget?.(name) ?? OPEN_BUDGET,
    progress: (done: number, total?: number) => task.onProgress?.(done, total),
    skip,
    cancel,
    route,
  }
  // The fields' own descriptors: a spread would run the getters.
  return Object.defineProperties(
    own,
    Object.getOwnPropertyDescriptors(fields),
  ) as unknown as StageContext
}
