import type { Lane, Role } from '@weir/contracts'
import { ClientError } from './client-error.ts'
import type { QuotaName } from './tenants.ts'
import type { Transport } from './transport.ts'

export type Whoami = {
  readonly role: Role
  readonly actor: string
  readonly scopes: readonly string[]
  readonly tenant: { readonly id: string; readonly name: string } | null
}

export type Usage = {
  readonly tenant: { readonly id: string; readonly name: string }
  readonly quotas: Readonly<
    Record<
      QuotaName,
      { readonly limit: number; readonly used?: number; readonly available?: number }
    >
  >
}

export type Readiness = {
  readonly isReady: boolean
  /** `ok`, or what is wrong, by the name of the part. */
  readonly checks: Readonly<Record<string, string>>
}

/** Null is what is not known or, for a tenant, not shown: figures that tell of others. */
export type FlowStage = {
  readonly stage: string
  readonly lane: Lane
  readonly state: 'open' | 'throttled' | 'closed' | 'unknown'
  readonly lag: number | null
  readonly lagMs: number | null
  readonly oldestAgeMs: number | null
  readonly drainRate: number | null
  readonly inFlight: number | null
  readonly inFlightLimit: number
  readonly reason: string | null
  readonly since: string
  readonly seq: number
}

export type Flow = {
  readonly at: string
  readonly stages: readonly FlowStage[]
  readonly queue: { readonly queued: number | null; readonly oldestAgeMs: number | null }
  readonly bottleneck: { readonly stage: string; readonly why: string } | null
  /** Answers 429 of the instance that answers, by who is the cause. */
  readonly refused: { readonly tenant: number; readonly platform: number; readonly since: string }
}

/** Calls about the caller and the installation as a whole. */
export function createInstallationCalls(transport: Transport) {
  return {
    whoami: () => transport.call<Whoami>({ method: 'GET', path: '/v1/whoami' }),
    usage: () => transport.call<Usage>({ method: 'GET', path: '/v1/usage' }),
    flow: () => transport.call<Flow>({ method: 'GET', path: '/v1/flow' }),

    /** That it is alive, and its clock (ms since 1970, by its `Date` header; whole seconds). */
    async health(): Promise<{ readonly serverMs: number | undefined }> {
      const { headers } = await transport.send<unknown>({ method: 'GET', path: '/healthz' })
      const atMs = Date.parse(headers.get('date') ?? '')
      return { serverMs: Number.isNaN(atMs) ? undefined : atMs }
    },

    /** Asks once: that it is not ready is an answer here. */
    async readiness(): Promise<Readiness> {
      type Report = { checks?: Readiness['checks'] }
      try {
        const { checks = {} } = await transport.call<Report>({
          method: 'GET',
          path: '/readyz',
          isIdempotent: false,
        })
        return { isReady: true, checks }
      } catch (error) {
        if (!ClientError.is(error) || error.status !== 503) throw error
        return { isReady: false, checks: (error.members.checks as Readiness['checks']) ?? {} }
      }
    },

    openapi: () =>
      transport.call<{
        readonly info: { readonly version: string }
        readonly paths: Readonly<Record<string, Readonly<Record<string, unknown>>>>
      }>({ method: 'GET', path: '/openapi.json' }),
  }
}
