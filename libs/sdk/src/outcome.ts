import type { TaskError } from '@weir/contracts'
import { OUTCOME } from './task-errors.ts'

/**
 * What became of a task; engine and tests decide by this union alone.
 * - `ok`: `json` is the output as it is sent; `taken` are a route's branches, null elsewhere.
 * - `skip`, `cancel`: decided by the handler; cancel ends the run without an error.
 * - `fail`: for good. `retry`: again by the step's policy, no sooner than `retryAfterMs`.
 */
export type Outcome =
  | {
      readonly status: 'ok'
      readonly output: unknown
      readonly json: string
      readonly taken: readonly string[] | null
    }
  | { readonly status: 'skip'; readonly reason: string }
  | { readonly status: 'cancel'; readonly reason: string }
  | { readonly status: 'fail'; readonly error: TaskError }
  | { readonly status: 'retry'; readonly error: TaskError; readonly retryAfterMs: number | null }

export type SkipValue = {
  readonly [OUTCOME]: true
  readonly weir: 'skip'
  readonly reason: string
}
export type CancelValue = {
  readonly [OUTCOME]: true
  readonly weir: 'cancel'
  readonly reason: string
}
export type RouteValue<Output = unknown> = {
  readonly [OUTCOME]: true
  readonly weir: 'route'
  readonly names: readonly string[]
  readonly output: Output
}

/** What a handler returns in place of a plain output. */
export type OutcomeValue<Output = unknown> = SkipValue | CancelValue | RouteValue<Output>

export const skip = (reason: string): SkipValue => ({ [OUTCOME]: true, weir: 'skip', reason })
export const cancel = (reason: string): CancelValue => ({ [OUTCOME]: true, weir: 'cancel', reason })
export const route = <Output>(names: readonly string[], output: Output): RouteValue<Output> => ({
  [OUTCOME]: true,
  weir: 'route',
  names,
  output,
})
