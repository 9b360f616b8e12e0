import type { EdgeDocument, StepDocument } from '@weir/contracts'

type Members = {
  readonly after?: readonly (string | EdgeDocument)[]
  readonly config?: Readonly<Record<string, unknown>>
  readonly stage?: string
} & Omit<StepDocument, 'stage' | 'after' | 'config'>

/** A step on the stage `act` (or one that runs the same file) that does the given deed. */
export function act(deed: string, { after, config, stage = 'act@1', ...rest }: Members = {}) {
  return {
    stage,
    ...(after !== undefined && { after }),
    config: { do: deed, ...config },
    ...rest,
  }
}

/** One attempt, so that a transient failure is final at once. */
export const once = { retry: { attempts: 1 } } as const
