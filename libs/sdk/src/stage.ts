import type { RetryDocument, StageKind, StageRef } from '@weir/contracts'
import type { InstanceContext, StageContext } from './context.ts'
import type { Contract } from './contract.ts'
import type { Interceptor } from './interceptor.ts'
import type { OutcomeValue } from './outcome.ts'
import type { JsonSchema, Parsed, Schema, Written } from './schema.ts'

type MaybePromise<Value> = Value | Promise<Value>

/** An output, an outcome made by the context, an error, or nothing (an empty ok). */
// biome-ignore lint/suspicious/noConfusingVoidType: a handler without a return statement is an ok
export type Returned<Out> = Written<Out> | OutcomeValue<Written<Out>> | Error | undefined | void

/** What an author writes. Unknown options are refused. */
export type StageDefinition<In extends Schema = JsonSchema, Out extends Schema = JsonSchema> = {
  /** Lower-case name; with the version's major it makes the reference, `locate@1`. */
  readonly name: string
  /** `major.minor.patch`. */
  readonly version: string
  /** `transform` where nothing is said. */
  readonly kind?: StageKind
  readonly input?: In
  readonly output?: Out
  readonly timeoutMs?: number
  /** Tasks at once per instance. */
  readonly concurrency?: number
  readonly retry?: RetryDocument
  /** The same input always gives the same outcome. */
  readonly deterministic?: boolean
  /** `enrich` only: a final failure becomes a skip. */
  readonly optional?: boolean
  readonly interceptors?: readonly Interceptor[]
  run?(input: Parsed<In>, ctx: StageContext): MaybePromise<Returned<Out>>
  /** With `runBatch`: at most so many messages, or what has come in the time. */
  readonly batch?: { readonly max?: number; readonly waitMs?: number }
  /** One result per input, in order; an Error in a place fails that input alone. */
  runBatch?(
    inputs: readonly Parsed<In>[],
    ctxs: readonly StageContext[],
  ): MaybePromise<readonly Returned<Out>[]>
  init?(ctx: InstanceContext): MaybePromise<unknown>
  pause?(): MaybePromise<unknown>
  resume?(): MaybePromise<unknown>
  shutdown?(): MaybePromise<unknown>
}

/** A checked definition with its defaults filled in: what the engine runs. */
export type Stage = {
  readonly ref: StageRef
  readonly name: string
  readonly version: string
  readonly kind: StageKind
  /** As published on `weir.registry`; `hash` is over both schemas. */
  readonly contracts: {
    readonly hash: string
    readonly input: JsonSchema
    readonly output: JsonSchema
  }
  readonly input: Contract
  readonly output: Contract
  /** Null where the author says nothing: then the plan's applies. */
  readonly timeoutMs: number | null
  readonly concurrency: number
  readonly retry: RetryDocument | null
  readonly deterministic: boolean
  readonly optional: boolean
  /** In the order in which they run. */
  readonly interceptors: readonly Interceptor[]
  /** Null for stages with `run`. */
  readonly batch: { readonly max: number; readonly waitMs: number } | null
  readonly handler:
    | {
        readonly type: 'single'
        readonly run: (input: unknown, ctx: StageContext) => unknown
      }
    | {
        readonly type: 'batch'
        readonly run: (inputs: readonly unknown[], ctxs: readonly StageContext[]) => unknown
      }
  readonly hooks: {
    readonly init?: (ctx: InstanceContext) => unknown
    readonly pause?: () => unknown
    readonly resume?: () => unknown
    readonly shutdown?: () => unknown
  }
}
