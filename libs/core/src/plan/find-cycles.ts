const CYCLES_MAX = 10

/**
 * Cycles of a graph, each as the names along the flow with the first repeated at the end. Finds at
 * least one where there is any, and at most ten.
 * @param targets for each step the steps that follow it
 */
export function findCycles(targets: ReadonlyMap<string, readonly string[]>): string[][] {
  const cycles: string[][] = []
  const state = new Map<string, 'open' | 'done'>()
  const trail: string[] = []
  const visit = (step: string): void => {
    state.set(step, 'open')
    trail.push(step)
    for (const target of targets.get(step) ?? []) {
      if (cycles.length >= CYCLES_MAX) break
      const known = state.get(target)
      if (known === 'open') cycles.push([...trail.slice(trail.indexOf(target)), target])
      else if (known === undefined) visit(target)
    }
    trail.pop()
    state.set(step, 'done')
  }
  for (const step of targets.keys()) if (!state.has(step)) visit(step)
  return cycles
}

/** Steps sorted so that each comes after all it depends on; ties in the order given. No cycles. */
export function sortSteps(
  names: readonly string[],
  sourcesOf: (name: string) => readonly string[],
): string[] {
  const placed = new Set<string>()
  const sorted: string[] = []
  let waiting = names
  while (waiting.length > 0) {
    const left: string[] = []
    for (const name of waiting) {
      if (sourcesOf(name).every((source) => placed.has(source))) {
        placed.add(name)
        sorted.push(name)
      } else left.push(name)
    }
    if (left.length === waiting.length) throw new Error('the steps form a cycle')
    waiting = left
  }
  return sorted
}
