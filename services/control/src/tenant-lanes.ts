import { WeirError } from '@weir/contracts'

type Rejectable = { readonly reject: (error: unknown) => void }

export type TenantLanePorts<Entry extends Rejectable> = {
  /** Takes the next group out of what waits: at least one. */
  readonly take: (waiting: Entry[]) => Entry[]
  /** Answers what is decided of a group; returns what must be tried again, ahead of what waits. */
  readonly work: (tenant: string, group: readonly Entry[]) => Promise<readonly Entry[]>
  /** What is said where too many wait. */
  readonly full: string
}

/** Of one tenant; who comes when as many wait is told to come again. */
const WAITING_MAX = 5_000

/**
 * Calls of one tenant share a transaction: what comes while one is under way goes with the next. Each
 * transaction holds the tenant's usage row until its commit is on disk, so one by one a tenant would
 * get a few hundred calls a second; together they cost one commit. A group that fails is rejected.
 */
export function createTenantLanes<Entry extends Rejectable>({
  take,
  work,
  full,
}: TenantLanePorts<Entry>): (tenant: string, entry: Entry) => void {
  /** A tenant has one while its calls are being worked on. */
  const lanes = new Map<string, Entry[]>()

  async function drain(tenant: string, waiting: Entry[]): Promise<void> {
    // What arrived in the same turn of the event loop goes together from the first.
    await new Promise(setImmediate)
    while (waiting.length > 0) {
      const group = take(waiting)
      try {
        waiting.unshift(...(await work(tenant, group)))
      } catch (error) {
        for (const { reject } of group) reject(error)
      }
    }
    lanes.delete(tenant)
  }

  return (tenant, entry) => {
    const waiting = lanes.get(tenant)
    if (waiting === undefined) {
      const opened = [entry]
      lanes.set(tenant, opened)
      void drain(tenant, opened)
      return
    }
    if (waiting.length >= WAITING_MAX) throw new WeirError('unavailable', full, { retryAfterS: 1 })
    waiting.push(entry)
  }
}
