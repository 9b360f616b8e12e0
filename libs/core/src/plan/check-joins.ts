import { type FieldError, limits, type PipelineDocument } from '@weir/contracts'
import { fanOutMax, itemsMax, type Scope } from './assign-scopes.ts'
import { type EffectivePipeline, edgeObjects } from './effective.ts'
import { pointer } from './json-pointer.ts'

/** Faults of the joins' policies. */
export function checkJoins(
  document: PipelineDocument,
  effective: EffectivePipeline,
  scopes: ReadonlyMap<string, Scope>,
): FieldError[] {
  const errors: FieldError[] = []
  const bounds = fanOutMax(effective)
  for (const [name, step] of Object.entries(document.steps)) {
    const join = step.join
    if (join === undefined) continue
    const path = `${pointer('/steps', name)}/join`
    const edges = edgeObjects(step)
    const only = edges.length === 1 ? edges[0] : undefined
    if (edges.length === 0 || (only !== undefined && only.gather !== true)) {
      const message = 'a step that runs on a single message joins nothing'
      errors.push({ path, code: 'invalid_join', message, fix: 'leave out join' })
      continue
    }
    if (join.policy !== 'quorum') {
      if (join.n === undefined) continue
      const message = 'n belongs to the policy quorum'
      errors.push({ path: `${path}/n`, code: 'invalid_join', message, fix: 'policy: quorum' })
      continue
    }
    if (join.n === undefined) {
      errors.push({ path: `${path}/n`, code: 'required', message: 'a quorum needs its n' })
      continue
    }
    const possible =
      only === undefined
        ? edges.length
        : (bounds.get(scopes.get(only.step)?.at(-1) ?? '') ?? limits.fanOutItems)
    if (join.n > possible) {
      const what = only === undefined ? 'edges' : 'items'
      const message = `a quorum of ${join.n} cannot be met by ${possible} ${what}`
      errors.push({ path: `${path}/n`, code: 'invalid_join', message, fix: `n: ${possible}` })
    }
  }
  return errors
}

/** Nested fan-outs whose items together are more than a run may have. */
export function checkFanOuts(
  effective: EffectivePipeline,
  scopes: ReadonlyMap<string, Scope>,
): FieldError[] {
  const errors: FieldError[] = []
  const bounds = fanOutMax(effective)
  for (const [name, step] of Object.entries(effective.steps)) {
    const scope = scopes.get(name)
    const position = step.after.findIndex((edge) => edge.each === true)
    if (scope === undefined || position === -1) continue
    const items = itemsMax(scope, bounds)
    if (items <= limits.fanOutItems) continue
    const outer = itemsMax(scope.slice(0, -1), bounds)
    errors.push({
      path: `${pointer('/steps', name)}/after/${position}/maxItems`,
      code: 'too_large',
      message: `${items} items in nested fan-outs; at most ${limits.fanOutItems} are allowed`,
      ...(outer <= limits.fanOutItems
        ? { fix: `maxItems: ${Math.floor(limits.fanOutItems / outer)}` }
        : {}),
    })
  }
  return errors
}
