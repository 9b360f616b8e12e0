import type { TaskError } from '@weir/contracts'

/** The final result of a task, as far as messages follow from it. `output` is JSON text. */
export type TaskResult =
  | { readonly status: 'ok'; readonly output: string; readonly taken: readonly string[] | null }
  | { readonly status: 'skip'; readonly reason: string; readonly failedBefore: boolean }
  | { readonly status: 'cancel'; readonly reason: string }
  | { readonly status: 'fail'; readonly error: TaskError }

/** Value of an `outcome` record: the result, with what the event needs. */
export type OutcomeBody = {
  readonly v: 1
  readonly result: TaskResult
  readonly attempt: number
  readonly waitMs: number
  readonly workMs: number
  readonly took: readonly (readonly [edge: number, item: string, digest: string])[]
  readonly missing: readonly (readonly [edge: number, item: string])[]
}

/** Why an input of a join is not there. */
export type MissingInput = {
  readonly as: string
  readonly index?: number
  readonly reason: 'skipped' | 'failed' | 'not_delivered'
}

/** Value of a `joined` record: all that the step runs on. */
export type JoinedBody = {
  readonly v: 1
  readonly decision: JoinDecision
  readonly manifest: readonly MissingInput[]
  readonly took: readonly (readonly [edge: number, item: string, digest: string])[]
  readonly missing: readonly (readonly [edge: number, item: string])[]
  /** Trace contexts of the parts but the last, sampled ones, for the links of the task's span. */
  readonly links?: readonly string[]
  /** The handler's input; present where the decision is to run. */
  readonly input?: unknown
}

/** What a join does once its policy has decided. */
export type JoinDecision =
  | { readonly do: 'run' }
  | { readonly do: 'skip'; readonly reason: string; readonly failedBefore: boolean }
  | { readonly do: 'fail'; readonly error: TaskError }

/** Value of a `closed` record: joins that a late part has completed. */
export type ClosedBody = { readonly v: 1; readonly keys: readonly string[] }
