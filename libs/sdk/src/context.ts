import type { Span } from '@opentelemetry/api'
import type { Logger } from 'pino'
import type { CancelValue, RouteValue, SkipValue } from './outcome.ts'

export type MissingReason = 'skipped' | 'failed' | 'timeout' | 'not_waited_for'

/** What a join's handler is told of its inputs: all names it may read, and what is not there. */
export type JoinView = {
  readonly names: readonly string[]
  readonly missing: readonly { readonly name: string; readonly reason: MissingReason }[]
}

/** What a gather's handler is told of its array: the items of the fan-out that are not in it. */
export type GatherManifest = {
  readonly total: number
  readonly missing: readonly { readonly item: string; readonly reason: MissingReason }[]
}

/** A shared resource; `take` waits until it may be used, or rejects when the task is aborted. */
export type Budget = { take(amount?: number): Promise<void> }

export type Cleanup = () => unknown

/** What identifies a task and what its step says; the same for every attempt but `attempt`. */
export type TaskFields = {
  readonly tenant: string
  readonly job: string
  readonly run: number
  readonly pipeline: string
  readonly step: string
  /** Path of the item, `''` outside fan-outs. */
  readonly item: string
  readonly attempt: number
  readonly correlationId: string
  /** Stable over attempts, redeliveries and repair runs; new when re-executed on purpose. */
  readonly idempotencyKey: string
  readonly priority: number
  readonly isReplay: boolean
  readonly config: Readonly<Record<string, unknown>>
  /** Joins only. */
  readonly join?: JoinView
  /** Gathers only. */
  readonly manifest?: GatherManifest
}

/** Text, bytes, or what JSON can say. */
export type ArtifactContent = string | Uint8Array | object | number | boolean | null

/** The second argument of a handler. */
export type StageContext = TaskFields & {
  /** Milliseconds left of the timeout or the run's not-after, whichever ends first. */
  readonly deadline: number
  /** Aborted on timeout, cancel and shutdown. */
  readonly signal: AbortSignal
  /** A pino child with all ids. */
  readonly log: Logger
  readonly span: Span
  /** Runs when the task has ended, however it ended: last registered first, each once. */
  onCleanup(cleanup: Cleanup): void
  budget(name: string): Budget
  progress(done: number, total?: number): void
  /**
   * Tells of the work, in the job's log: `name` in lower case (`rows.read`), `data` small JSON.
   * Resolves with whether it was taken; where the instance's policy is to wait, when there is room.
   */
  event(name: string, data?: unknown): Promise<boolean>
  /**
   * Keeps something with the run, beside the output that goes on: a report, a picture. Text, bytes or
   * JSON. Resolves when it cannot be lost any more; one that cannot be kept fails the attempt.
   */
  artifact(
    name: string,
    content: ArtifactContent,
    options?: { readonly mediaType?: string },
  ): Promise<void>
  /** Return its value: the task is skipped and its edges carry a skipped marker. */
  skip(reason: string): SkipValue
  /** Return its value: the run ends without an error. */
  cancel(reason: string): CancelValue
  /** Return its value, in route stages: the named branches get the output. */
  route<Output>(names: readonly string[], output: Output): RouteValue<Output>
}

/** What the hooks of an instance get. */
export type InstanceContext = { readonly log: Logger; readonly signal: AbortSignal }
