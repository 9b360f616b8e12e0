import type { Plan } from '@weir/contracts'
import type { Gate, Gates } from '@weir/core'

/** What keeps the jobs of a plan waiting, where it is the platform and not a quota of their tenant. */
export type Pressure = {
  readonly stage: string
  readonly state: 'throttled' | 'closed'
  readonly reason: string
  /** How long what is before the stage takes it; null where nothing moves, or nothing is known. */
  readonly lagMs: number | null
}

/**
 * The stage on a plan's path that lets the least in: one whose gate is closed, else one whose gate is
 * throttled, and among several the one that is furthest behind. Undefined where all gates are open, or
 * are not known.
 */
export function findPressure(plan: Plan, gates: Pick<Gates, 'all'>): Pressure | undefined {
  const path = new Set<string>(plan.steps.map(({ stage }) => stage))
  let worst: (Gate & { readonly state: Pressure['state'] }) | undefined
  for (const gate of gates.all()) {
    if (!path.has(gate.record.stage) || !isShut(gate)) continue
    if (worst === undefined || isWorse(gate, worst)) worst = gate
  }
  if (worst === undefined) return undefined
  const { stage, reason, lagMs, drainRate } = worst.record
  const isMoving = drainRate > 0 && reason !== 'stalled'
  return { stage, state: worst.state, reason, lagMs: isMoving ? lagMs : null }
}

const isShut = (gate: Gate): gate is Gate & { readonly state: Pressure['state'] } =>
  gate.state === 'closed' || gate.state === 'throttled'

function isWorse(gate: Gate, than: Gate): boolean {
  if (gate.state !== than.state) return gate.state === 'closed'
  return gate.record.lagMs > than.record.lagMs
}
