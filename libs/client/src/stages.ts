import type { Lane, StageKind, StageState } from '@weir/contracts'
import { segment, type Transport } from './transport.ts'

export type StageSettings = {
  readonly kind?: StageKind
  readonly partitions?: number
  readonly lanes?: readonly Lane[]
  readonly inFlightMax?: number
  /** How long records may wait before the stage; beyond it less is let in. */
  readonly targetDelayMs?: number
  readonly autoActivate?: boolean
  readonly image?: string
  readonly env?: Readonly<Record<string, string>>
  readonly resources?: Readonly<Record<string, unknown>>
  readonly replicas?: { readonly min: number; readonly max: number }
  readonly retryBudget?: number
  /** What a version takes and gives; refused where it breaks an earlier one of the same major. */
  readonly contract?: {
    readonly version: string
    readonly hash: string
    readonly input: unknown
    readonly output: unknown
  }
}

export type StageInstance = {
  readonly id: string
  readonly version: string
  readonly state: string
  readonly partitions: readonly string[]
  readonly heartbeatAgeMs: number
  readonly startedAt: string
}

export type StageContract = {
  readonly version: string
  readonly hash: string
  readonly accepted: boolean
  readonly reason: string | null
  readonly input: unknown
  readonly output: unknown
}

export type Stage = {
  readonly ref: string
  readonly kind: StageKind | null
  readonly state: StageState
  readonly partitions: number
  readonly lanes: readonly Lane[]
  readonly inFlightMax: number
  readonly targetDelayMs: number
  readonly autoActivate: boolean
  readonly rowVersion: number
  /** What was registered beside; empty for those who are no operators. */
  readonly spec: Pick<StageSettings, 'image' | 'env' | 'resources' | 'replicas' | 'retryBudget'>
  readonly instances: readonly StageInstance[]
  readonly contracts: readonly StageContract[]
  readonly createdAt: string
  readonly updatedAt: string
}

export const STAGE_OPERATIONS = ['activate', 'deactivate', 'reactivate', 'terminate'] as const
export type StageOperation = (typeof STAGE_OPERATIONS)[number]

/** Milliseconds; null where nothing was counted. */
export type LatencyFigures = {
  readonly min: number | null
  readonly mean: number | null
  readonly p50: number | null
  readonly p95: number | null
  readonly p99: number | null
  readonly max: number | null
}

/** What the live instances of a stage have counted and measured since the first of them started. */
export type StageTelemetry = {
  readonly stage: string
  readonly instances: number
  /** By the load; null where its registration has no `replicas`. */
  readonly instancesWanted: number | null
  readonly processed: number
  readonly completed: number
  readonly failed: number
  readonly skipped: number
  readonly cancelled: number
  readonly retried: number
  readonly dropped: number
  readonly duplicatesSuppressed: number
  readonly late: number
  readonly waitMs: LatencyFigures
  readonly workMs: LatencyFigures
  /** Attempts that ended, a second, lately. */
  readonly throughput: number
  readonly lastError: { readonly code: string; readonly at: string } | null
  readonly since: string | null
  readonly input: readonly {
    readonly lane: Lane
    readonly lag: number | null
    readonly lagMs: number | null
    readonly oldestAgeMs: number | null
    readonly drainRate: number | null
  }[]
}

export type Stages = ReturnType<typeof createStages>

export function createStages(transport: Transport) {
  const pathOf = (ref: string): string => `/v1/stages/${segment(ref)}`

  return {
    /** Registers a stage, or changes one. Its key comes once, with the registration. */
    register(ref: string, settings: StageSettings = {}): Promise<Stage & { stageKey?: string }> {
      return transport.call({ method: 'PUT', path: pathOf(ref), json: settings })
    },

    /** A further key; the earlier ones stay valid. */
    addKey(ref: string) {
      return transport.call<{ ref: string; keyId: string; stageKey: string }>({
        method: 'POST',
        path: `${pathOf(ref)}/key`,
      })
    },

    async list(filter: { readonly state?: readonly StageState[] } = {}): Promise<readonly Stage[]> {
      const { stages } = await transport.call<{ stages: readonly Stage[] }>({
        method: 'GET',
        path: '/v1/stages',
        query: { state: filter.state },
      })
      return stages
    },

    get(ref: string): Promise<Stage> {
      return transport.call<Stage>({ method: 'GET', path: pathOf(ref) })
    },

    operate(ref: string, operation: StageOperation): Promise<Stage> {
      return transport.call<Stage>({ method: 'POST', path: `${pathOf(ref)}/${operation}` })
    },

    telemetry(ref: string): Promise<StageTelemetry> {
      return transport.call<StageTelemetry>({ method: 'GET', path: `${pathOf(ref)}/telemetry` })
    },
  }
}
