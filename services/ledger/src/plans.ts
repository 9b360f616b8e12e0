import type { Plan } from '@weir/contracts'

const CACHED_MAX = 5_000

/** Compiled plans by id; a plan never changes, so what was read once stays true. */
export type Plans = { find(ids: readonly string[]): Promise<Map<string, Plan>> }

export function createPlans(load: (ids: readonly string[]) => Promise<readonly Plan[]>): Plans {
  const cache = new Map<string, Plan>()
  return {
    async find(ids) {
      const missing = [...new Set(ids)].filter((id) => !cache.has(id))
      if (missing.length > 0) {
        for (const plan of await load(missing)) cache.set(plan.id, plan)
        for (const id of cache.keys()) {
          if (cache.size <= CACHED_MAX) break
          cache.delete(id)
        }
      }
      const found = new Map<string, Plan>()
      for (const id of ids) {
        const plan = cache.get(id)
        if (plan !== undefined) found.set(id, plan)
      }
      return found
    },
  }
}
