import { type FieldError, limits } from '@weir/contracts'
import type { EffectiveEdge, EffectivePipeline } from './effective.ts'
import { pointer } from './json-pointer.ts'

export type Scope = readonly string[]

/** The scope in which the target of an edge stands, or undefined for a gather with nothing to close. */
export function targetScope(edge: EffectiveEdge, source: Scope): Scope | undefined {
  if (edge.each === true) return [...source, edge.step]
  if (edge.gather !== true) return source
  return source.length === 0 ? undefined : source.slice(0, -1)
}

const isSame = (a: Scope, b: Scope) => a.length === b.length && a.every((name, i) => name === b[i])

const describe = (scope: Scope) =>
  scope.length === 0 ? 'outside of any fan-out' : `inside the fan-out of ${scope.join(' > ')}`

function fixFor(edge: EffectiveEdge, source: Scope, wanted: Scope): string | undefined {
  for (const change of [{ gather: true }, { each: true }, {}]) {
    const changed = { ...edge, each: false, gather: false, ...change }
    const scope = targetScope(changed, source)
    if (scope === undefined || !isSame(scope, wanted)) continue
    const [word] = Object.keys(change)
    return word === undefined ? 'leave out each and gather' : `${word}: true`
  }
  return undefined
}

/**
 * The scope of every step: the fan-outs that it stands in, outermost first.
 * @param sorted steps in topological order; those whose sources are missing are left out
 */
export function assignScopes(
  effective: EffectivePipeline,
  sorted: readonly string[],
): { scopes: Map<string, Scope>; errors: FieldError[] } {
  const scopes = new Map<string, Scope>()
  const errors: FieldError[] = []
  for (const name of sorted) {
    const step = effective.steps[name]
    if (step === undefined) continue
    let scope: Scope | undefined = step.after.length === 0 ? [] : undefined
    for (const [position, edge] of step.after.entries()) {
      const source = scopes.get(edge.step)
      if (source === undefined) continue
      const path = pointer(pointer('', 'steps'), name) + pointer('/after', position)
      const found = targetScope(edge, source)
      if (found === undefined) {
        errors.push({
          path,
          code: 'scope_mismatch',
          message: `"${edge.step}" stands in no fan-out, so there is nothing to gather`,
          fix: 'leave out gather',
        })
      } else if (scope === undefined) {
        scope = found
      } else if (!isSame(scope, found)) {
        const fix = fixFor(edge, source, scope)
        errors.push({
          path,
          code: 'scope_mismatch',
          message: `this edge arrives ${describe(found)}, the edges before it ${describe(scope)}`,
          ...(fix === undefined ? {} : { fix }),
        })
      }
    }
    if (scope === undefined) continue
    if (scope.length > limits.nesting) {
      errors.push({
        path: pointer('/steps', name),
        code: 'too_large',
        message: `fan-outs are nested at most ${limits.nesting} deep`,
      })
    }
    scopes.set(name, scope)
  }
  return { scopes, errors }
}

/** The bound of the fan-out that each step with an `each` edge opens. */
export function fanOutMax(effective: EffectivePipeline): Map<string, number> {
  const bounds = new Map<string, number>()
  for (const step of Object.values(effective.steps)) {
    for (const edge of step.after) {
      if (edge.each === true && edge.maxItems !== undefined) bounds.set(edge.step, edge.maxItems)
    }
  }
  return bounds
}

/** The most items that can exist at a scope: the product of the bounds of its fan-outs. */
export function itemsMax(scope: Scope, bounds: ReadonlyMap<string, number>): number {
  return scope.reduce((product, name) => product * (bounds.get(name) ?? 1), 1)
}
