import type { TaskError } from '@weir/contracts'
import type { StageContext } from './context.ts'
import type { Outcome, OutcomeValue } from './outcome.ts'

/** A short-circuit says what it means: there is no implicit success. */
export type ShortCircuit =
  | { readonly status: 'ok'; readonly output: unknown; readonly taken?: readonly string[] }
  | { readonly status: 'skip' | 'cancel'; readonly reason: string }
  | {
      readonly status: 'fail'
      readonly error: { readonly code: string; readonly message: string }
    }
  | {
      readonly status: 'retry'
      readonly error: { readonly code: string; readonly message: string }
      readonly retryAfterMs?: number
    }

/** What becomes of a failed task instead; without one the failure stands. */
export type ErrorAction =
  | { readonly action: 'retry'; readonly retryAfterMs?: number }
  | { readonly action: 'fallback'; readonly output: unknown | OutcomeValue }
  | { readonly action: 'fail'; readonly code: string; readonly message: string }

// biome-ignore lint/suspicious/noConfusingVoidType: interceptors that only watch return nothing
type Maybe<Value> = Value | undefined | void | Promise<Value | undefined | void>

/**
 * Code around a handler. `before` runs by priority, lower first; `onError` and `after` run on the way
 * back, in reverse. An error in one is logged and otherwise ignored, unless it is `critical`.
 */
export type Interceptor = {
  readonly name: string
  /** Lower is outer. Ties are broken by name. */
  readonly priority: number
  readonly critical?: boolean
  before?(input: unknown, ctx: StageContext): Maybe<ShortCircuit>
  after?(outcome: Outcome, ctx: StageContext): unknown
  onError?(error: TaskError, ctx: StageContext): Maybe<ErrorAction>
}
