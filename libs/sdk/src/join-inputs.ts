import type { JoinView } from './context.ts'
import { Permanent } from './task-errors.ts'

/**
 * A join's inputs, closed: reading a name that is no edge of the step throws instead of giving
 * `undefined`. Names of edges that delivered nothing are `undefined`, and `ctx.join` says why.
 */
export function closeInputs(inputs: unknown, join: JoinView | undefined): unknown {
  if (join === undefined || typeof inputs !== 'object' || inputs === null) return inputs
  const names = new Set<PropertyKey>(join.names)
  return new Proxy(inputs, {
    get(target, key, receiver) {
      // Symbols and what every object has (`toString`, `constructor`) are asked for by the language.
      if (typeof key === 'symbol' || key in target || names.has(key) || PROBED.has(key)) {
        return Reflect.get(target, key, receiver)
      }
      throw new Permanent(
        'undeclared_input',
        `The step has no edge that gives "${key.slice(0, 64)}"`,
      )
    },
  })
}

/** `await` and `JSON.stringify` ask for these of any value. */
const PROBED = new Set<PropertyKey>(['then', 'toJSON'])
