import type { JoinPolicy } from './join-policy.ts'
import type { StageRef } from './stage-ref.ts'
import type { FailureMode } from './states.ts'

/** Retry policy with every default filled in; times in milliseconds. */
export type RetryPolicy = {
  readonly attempts: number
  readonly baseMs: number
  readonly maxMs: number
  readonly backoff: 'exponential' | 'linear' | 'constant'
  readonly jitter: 'none' | 'full' | 'equal' | 'decorrelated'
}

export type EdgeKind = 'plain' | 'each' | 'gather'

/** An edge of a plan. `from` is null for the edge on which the dispatcher sends the job's input. */
export type PlanEdge = {
  /** Position in `Plan.edges`; what messages name. */
  readonly index: number
  readonly from: string | null
  readonly to: string
  /** The name under which a join's handler finds this input. */
  readonly as: string
  readonly kind: EdgeKind
  readonly when: string | null
  /** Bound of the fan-out, for `each` only. */
  readonly maxItems: number | null
}

export type PlanStep = {
  readonly name: string
  readonly stage: StageRef
  /**
   * Names of the steps whose `each` opened the fan-outs this step stands in, outermost first. The
   * length is the length of its tasks' item paths.
   */
  readonly scope: readonly string[]
  /** Indexes of incoming and outgoing edges, ascending. */
  readonly in: readonly number[]
  readonly out: readonly number[]
  /** Null for a step that runs on a single message. */
  readonly join: JoinPolicy | null
  /**
   * Gather edges that close the fan-out which this step's `each` edges open; they get the scope's
   * marker when there are no items. Empty where the step has no `each`.
   */
  readonly closing: readonly number[]
  /**
   * The result must be written down before it is sent (an `each`, a branch, or several edges):
   * always, or unless the stage declares itself deterministic, or never.
   */
  readonly writeOutcome: 'always' | 'unless_deterministic' | 'never'
  readonly timeoutMs: number
  readonly retry: RetryPolicy
  readonly config: Readonly<Record<string, unknown>>
}

/** The compiled form of a pipeline version, as it travels on `weir.plans`. */
export type Plan = {
  readonly v: 1
  readonly id: string
  readonly tenant: string
  readonly pipeline: string
  readonly version: number
  readonly onFailure: FailureMode
  readonly deadlineMs: number | null
  /** In topological order. */
  readonly steps: readonly PlanStep[]
  readonly edges: readonly PlanEdge[]
  /** Steps without outgoing edges, in the order of `steps`. */
  readonly leafs: readonly string[]
}
