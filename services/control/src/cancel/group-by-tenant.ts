type Entry<Item, Answer> = {
  readonly item: Item
  readonly resolve: (answer: Answer) => void
  readonly reject: (error: unknown) => void
}

/**
 * Calls of one tenant share a transaction: what comes while one is under way goes with the next, up
 * to `groupMax` of them. Each holds the tenant's usage row until its commit is on disk, so one by one
 * they would queue up behind each other.
 */
export function groupByTenant<Item, Answer>(
  work: (tenant: string, items: readonly Item[]) => Promise<readonly Answer[]>,
  groupMax: number,
): (tenant: string, item: Item) => Promise<Answer> {
  const lanes = new Map<string, Entry<Item, Answer>[]>()

  async function drain(tenant: string, lane: Entry<Item, Answer>[]): Promise<void> {
    // What arrived in the same turn of the event loop goes together from the first.
    await new Promise(setImmediate)
    while (lane.length > 0) {
      const group = lane.splice(0, groupMax)
      try {
        const answers = await work(
          tenant,
          group.map(({ item }) => item),
        )
        for (const [at, { resolve }] of group.entries()) resolve(answers[at] as Answer)
      } catch (error) {
        for (const { reject } of group) reject(error)
      }
    }
    lanes.delete(tenant)
  }

  return (tenant, item) =>
    new Promise((resolve, reject) => {
      const entry = { item, resolve, reject }
      const lane = lanes.get(tenant)
      if (lane !== undefined) {
        lane.push(entry)
        return
      }
      const opened = [entry]
      lanes.set(tenant, opened)
      void drain(tenant, opened)
    })
}
