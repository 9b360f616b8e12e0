import type { GateDecision } from './decide-gate.ts'

export type ScaleInput = {
  /** Least and most instances, no more than the stage has partitions. */
  readonly min: number
  readonly max: number
  /** Those that are there. */
  readonly instances: number
  readonly gate: Pick<GateDecision, 'state' | 'reason'>
  /** What the gate lets in is used up: more comes, and waits at the door. */
  readonly isUsedUp: boolean
  /** Records wait before the stage. */
  readonly isWaiting: boolean
  /** What all of them can do, in records a second; what they have done lately. */
  readonly drainRate: number
  readonly throughput: number
  /** How long there must have been too many before one goes. */
  readonly downAfterMs: number
}

/** How many instances a stage is to have, and what the next decision has to remember. */
export type ScaleState = {
  readonly wanted: number
  /** When that last changed; undefined where it never has. */
  readonly changedAtMs: number | undefined
  /** Since when the gate has been shut by load, or the instances have been more than are needed. */
  readonly shortSinceMs: number | undefined
  readonly ampleSinceMs: number | undefined
  /** What one instance can do, as was last seen while all of them were busy; else the most it has done. */
  readonly each: number
}

/** A step up is taken when the gate has been shut for so long, and the step before has had its effect. */
const UP_AFTER_MS = 5_000
const UP_REST_MS = 15_000
/** Instances that were wanted and do not come hold up nothing for longer. */
const ARRIVAL_MS = 60_000
const STEP = 2
/** What one fewer would be used at most. */
const USED = 0.7

/**
 * Numaflow's rule in our terms: the pace is asked for, not the lag, and steps are small. Up while the
 * gate is shut by load: then more comes than the stage can do, and how much more waits at the door,
 * where nobody has to count it. Down when what comes would use fewer by no more than seven tenths. A
 * stage that stands still wants no more: whatever holds it up would hold those up too. Only where there
 * is no instance at all, one is what is missing.
 */
export function wantInstances(
  before: ScaleState | undefined,
  input: ScaleInput,
  nowMs: number,
): ScaleState {
  const { min, max, instances, gate, throughput } = input
  const clamp = (count: number) => Math.min(max, Math.max(min, count))
  const last = before ?? {
    ...{ wanted: clamp(instances), each: 0 },
    ...{ changedAtMs: undefined, shortSinceMs: undefined, ampleSinceMs: undefined },
  }
  const isShort = gate.state !== 'open' && SHUT_BY_LOAD.has(gate.reason) && input.isUsedUp
  const each = eachOf(last.each, input, isShort)
  const wanted = clamp(last.wanted)
  // Less than a record in the time in which one too many is noticed is nothing.
  const isIdle = throughput < 1_000 / input.downAfterMs
  const needed = isIdle ? 0 : each > 0 ? Math.ceil(throughput / (USED * each)) : wanted
  const enough = clamp(needed)
  const isAmple = gate.state === 'open' && enough < wanted
  const next: ScaleState = {
    wanted,
    changedAtMs: last.changedAtMs,
    shortSinceMs: isShort ? (last.shortSinceMs ?? nowMs) : undefined,
    ampleSinceMs: isAmple ? (last.ampleSinceMs ?? nowMs) : undefined,
    each,
  }
  const change = (count: number): ScaleState => {
    if (count === wanted) return next
    const since = { changedAtMs: nowMs, shortSinceMs: undefined, ampleSinceMs: undefined }
    return { ...next, ...since, wanted: count }
  }

  if (wanted === 0 && input.isWaiting && gate.reason !== 'deactivated') return change(clamp(1))

  const restMs = nowMs - (last.changedAtMs ?? Number.NEGATIVE_INFINITY)
  const hasArrived = restMs >= (instances >= wanted ? UP_REST_MS : ARRIVAL_MS)
  if (isShort && hasArrived && nowMs - (next.shortSinceMs ?? nowMs) >= UP_AFTER_MS) {
    return change(clamp(wanted + Math.min(STEP, Math.max(1, wanted))))
  }
  if (isAmple && nowMs - (next.ampleSinceMs ?? nowMs) >= input.downAfterMs) {
    return change(Math.max(enough, wanted - STEP))
  }
  return next
}

const SHUT_BY_LOAD: ReadonlySet<string> = new Set(['late', 'full', 'recovering'])

function eachOf(before: number, input: ScaleInput, isShort: boolean): number {
  const { instances, drainRate, throughput } = input
  if (instances === 0) return before
  if (isShort && drainRate > 0) return drainRate / instances
  return Math.max(before, throughput / instances)
}
