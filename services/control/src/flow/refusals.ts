import type { Caller } from '../auth/caller.ts'

export const CAUSES = ['tenant', 'platform'] as const
export type Cause = (typeof CAUSES)[number]

export type RefusalCounts = Readonly<Record<Cause, number>>

/** Answers 429 of this instance, by who is the cause: in all, and of each tenant. Bounded. */
export type Refusals = {
  note(caller: Caller | undefined, cause: Cause): void
  /** Of one tenant, or of all together. */
  of(tenant?: string): RefusalCounts
  /** Since when is counted, epoch milliseconds. */
  readonly since: number
}

const TENANTS_MAX = 10_000

export function createRefusals(): Refusals {
  const total = { tenant: 0, platform: 0 }
  const byTenant = new Map<string, { tenant: number; platform: number }>()
  return {
    note(caller, cause) {
      total[cause] += 1
      const id = caller?.tenant?.id
      if (id === undefined) return
      const own = byTenant.get(id) ?? { tenant: 0, platform: 0 }
      own[cause] += 1
      // Who was refused last is kept longest.
      byTenant.delete(id)
      byTenant.set(id, own)
      if (byTenant.size > TENANTS_MAX) byTenant.delete(byTenant.keys().next().value as string)
    },
    of: (tenant) => ({
      ...(tenant === undefined ? total : (byTenant.get(tenant) ?? { tenant: 0, platform: 0 })),
    }),
    since: Date.now(),
  }
}
