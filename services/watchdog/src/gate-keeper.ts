import { defaults, type GateRecord, type StageRecord } from '@weir/contracts'
import {
  createDrainRate,
  type DrainRate,
  decideGate,
  type GateDecision,
  type GateState,
  isBacklog,
  type StageLoad,
} from '@weir/core'
import type { Level } from './meter.ts'
import type { StageCrew } from './registry-view.ts'

/** Decides the gates of all stages, each from what it was and what is measured. */
export type GateKeeper = {
  /** One decision for each stage that was measured, over its lanes: what they share is its instances. */
  decide(
    stages: readonly StageRecord[],
    levels: readonly Level[],
    crewOf: (stage: string) => StageCrew,
    nowMs: number,
  ): ReadonlyMap<string, GateDecision & { readonly floor: number }>
}

/** After partitions have moved. */
const SETTLE_MS = 5_000

/** `published`: what an earlier leader has left, which this one goes on from. */
export function createGateKeeper(published: readonly GateRecord[], startMs: number): GateKeeper {
  const states = new Map<string, GateState>()
  /** Of a stage over its lanes: what it does for the one it does not do for the other. */
  const rates = new Map<string, { readonly rate: DrainRate; wasBehind: boolean }>()
  const before = Map.groupBy(published, ({ stage }) => stage)
  for (const { stage, state, inFlightLimit, reason, drainRate } of published) {
    states.set(stage, {
      ...{ state, inFlightLimit, reason },
      ...{ sinceMs: startMs, decidedAtMs: startMs, finishedAtMs: startMs, rate: drainRate },
      ...{ lateSinceMs: undefined, waitingSinceMs: undefined, finished: undefined },
    })
  }

  const drainRateOf = (ref: string, lanes: readonly Level[], nowMs: number): number => {
    let known = rates.get(ref)
    if (known === undefined) {
      const from = Math.max(0, ...(before.get(ref) ?? []).map((gate) => gate.drainRate))
      known = { rate: createDrainRate(from), wasBehind: false }
      rates.set(ref, known)
    }
    const isBehind = lanes.some(isBacklog)
    const finished = lanes.reduce((sum, level) => sum + level.finished, 0)
    known.rate.sample(nowMs, finished, isBehind && known.wasBehind)
    known.wasBehind = isBehind
    return known.rate.perSecond
  }

  return {
    decide(stages, levels, crewOf, nowMs) {
      const byStage = Map.groupBy(levels, ({ stage }) => stage)
      const decisions = new Map<string, GateDecision & { readonly floor: number }>()
      for (const stage of stages) {
        const lanes = byStage.get(stage.ref)
        if (lanes === undefined) continue
        const { inFlightMax, targetDelayMs = defaults.targetDelayMs } = stage
        const drainRate = drainRateOf(stage.ref, lanes, nowMs)
        const load = { ...loadOf(lanes, crewOf(stage.ref), nowMs), drainRate }
        const aim = { state: stage.state, inFlightMax, targetDelayMs }
        const state = decideGate(states.get(stage.ref), aim, load, nowMs)
        states.set(stage.ref, state)
        decisions.set(stage.ref, { ...state, floor: Math.min(load.floor, inFlightMax) })
      }
      for (const ref of [...states.keys()]) {
        if (decisions.has(ref)) continue
        states.delete(ref)
        rates.delete(ref)
      }
      return decisions
    },
  }
}

function loadOf(
  lanes: readonly Level[],
  crew: StageCrew,
  nowMs: number,
): Omit<StageLoad, 'drainRate'> {
  const sum = (pick: (level: Level) => number) => lanes.reduce((all, one) => all + pick(one), 0)
  const partitions = Math.max(...lanes.map((level) => level.partitions))
  return {
    lag: sum(({ lag }) => lag),
    waiting: sum(({ waiting }) => waiting),
    finished: sum(({ finished }) => finished),
    oldestAgeMs: Math.max(...lanes.map(({ oldestAgeMs }) => oldestAgeMs)),
    held: crew.held,
    floor: Math.max(partitions, crew.concurrency),
    isSettling: nowMs - crew.movedAtMs < SETTLE_MS,
  }
}
