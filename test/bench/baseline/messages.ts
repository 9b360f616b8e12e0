/** What the bench says to the feeder and the sink, and what they answer. */
export type FeederOrder = {
  readonly round: number
  readonly count: number
  /** As fast as it goes when not given. */
  readonly perSecond?: number
  /** Records per send. */
  readonly chunk: number
}

export type SinkOrder = { readonly round: number; readonly count: number }

export type FeederAnswer = { readonly kind: 'fed'; readonly lateMs: readonly number[] }

export type SinkAnswer = {
  readonly kind: 'drained'
  readonly duplicates: number
  readonly wrong: number
  /** From the time an item was meant to be sent, for each item. */
  readonly latencyMs: readonly number[]
  readonly lastAtMs: number
}

export type Answer = { readonly kind: 'ready' } | FeederAnswer | SinkAnswer

export function answer(message: Answer): void {
  process.send?.(message)
}
