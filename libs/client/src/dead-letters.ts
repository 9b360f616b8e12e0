import { segment, type Transport } from './transport.ts'

export type DeadLetterFilter = {
  readonly stage?: string
  readonly pipeline?: string
  readonly step?: string
  readonly code?: string
  readonly fingerprint?: string
  readonly status?: 'open' | 'redriven' | 'discarded'
  readonly from?: string
  readonly to?: string
}

export type DeadLetter = {
  readonly id: string
  readonly job: string
  readonly run: number
  readonly step: string
  readonly item?: string | null
  readonly failedAt: string
  readonly [member: string]: unknown
}

export type DeadLetterGroup = {
  readonly fingerprint: string
  readonly count: number
  readonly firstSeenAt?: string
  readonly lastSeenAt?: string
  readonly [member: string]: unknown
}

export type DeadLetterPick =
  | { readonly ids: readonly string[] }
  | { readonly filter: DeadLetterFilter }

export type DeadLetters = ReturnType<typeof createDeadLetters>

export function createDeadLetters(transport: Transport) {
  const base = '/v1/dead-letters'
  return {
    list(filter: DeadLetterFilter & { readonly limit?: number; readonly cursor?: string } = {}) {
      return transport.call<{ deadLetters: readonly DeadLetter[]; nextCursor?: string }>({
        method: 'GET',
        path: base,
        query: filter,
      })
    },

    get(id: string): Promise<DeadLetter> {
      return transport.call<DeadLetter>({ method: 'GET', path: `${base}/${segment(id)}` })
    },

    groups(filter: DeadLetterFilter = {}) {
      return transport.call<{ groups: readonly DeadLetterGroup[] }>({
        method: 'GET',
        path: `${base}/groups`,
        query: filter,
      })
    },

    discard(pick: DeadLetterPick, reason: string) {
      return transport.call<Readonly<Record<string, unknown>>>({
        method: 'POST',
        path: `${base}/discard`,
        json: { ...pick, reason },
      })
    },
  }
}
