import type { Lane, StageKind } from '@weir/contracts'

/** What a check knows of a registered stage. */
export type KnownStage = {
  readonly ref: string
  /** Null where no instance has said it yet. */
  readonly kind: StageKind | null
  readonly lanes: readonly Lane[]
  /** The contracts of the current version; null before its first instance. */
  readonly contracts: { readonly input: unknown; readonly output: unknown } | null
  /** Records a second that the stage was seen to drain while busy. */
  readonly drainRate?: number
}
