import type { DeadLetterPick } from './dead-letters.ts'
import { segment, type Transport } from './transport.ts'

export type ReplayScope =
  | { readonly jobs: readonly string[] }
  | { readonly deadLetters: DeadLetterPick }
  | {
      readonly filter: {
        readonly pipeline: string
        readonly status?: string
        readonly failedStep?: string
        readonly errorCode?: string
        readonly from?: string
        readonly to?: string
      }
    }
  | {
      readonly topic: {
        readonly stage: string
        readonly lane?: string
        readonly from: string | number
        readonly to: string | number
      }
    }

export type ReplayRequest = {
  readonly scope: ReplayScope
  readonly fromStep?: string
  /** `repair` runs what has not completed; `reexecute` runs `fromStep` and all that follows again. */
  readonly strategy: 'repair' | 'reexecute'
  readonly version?: 'pinned' | 'current'
  /** Instead of the payload of one dead letter. */
  readonly payload?: unknown
  readonly ratePerSecond?: number
  readonly reason: string
}

export type ReplayPlan = {
  readonly total: number
  readonly byPipeline: Readonly<Record<string, number>>
  readonly bySteps: Readonly<Record<string, number>>
  readonly expired: number
}

export type Replay = {
  readonly id: string
  readonly status: string
  readonly total: number
  readonly done: number
  readonly skipped: number
  readonly failed: number
  readonly [member: string]: unknown
}

export type ReplayOperation = 'pause' | 'resume' | 'cancel'

export type Replays = ReturnType<typeof createReplays>

export function createReplays(transport: Transport) {
  const base = '/v1/replays'
  return {
    /** What a replay would do; nothing is done. */
    plan(request: ReplayRequest): Promise<ReplayPlan> {
      const json = { ...request, dryRun: true }
      return transport.call<ReplayPlan>({ method: 'POST', path: base, json, isIdempotent: true })
    },

    start(request: ReplayRequest): Promise<Replay> {
      return transport.call<Replay>({ method: 'POST', path: base, json: request })
    },

    list(page: { readonly limit?: number; readonly cursor?: string } = {}) {
      return transport.call<{ replays: readonly Replay[]; nextCursor?: string }>({
        method: 'GET',
        path: base,
        query: page,
      })
    },

    get(id: string): Promise<Replay> {
      return transport.call<Replay>({ method: 'GET', path: `${base}/${segment(id)}` })
    },

    operate(id: string, operation: ReplayOperation): Promise<Replay> {
      const path = `${base}/${segment(id)}/${operation}`
      return transport.call<Replay>({ method: 'POST', path })
    },
  }
}
