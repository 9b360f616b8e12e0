import { defaults, type GateRecord, type StageRecord } from '@weir/contracts'
import {
  createDrainRate,
  type DrainRate,
  decideGate,
  type GateDecision,
  type GateState,
  gapAt,
  isBacklog,
  type ScaleState,
  type StageLoad,
  wantInstances,
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
  ): ReadonlyMap<string, KeptGate>
}

/** A decision, and what goes with it to whoever reads the gate. */
export type KeptGate = GateDecision &
  Pick<GateRecord, 'instancesWanted'> & { readonly floor: number }

/** After partitions have moved. */
const SETTLE_MS = 5_000
/** Of what a gate lets in: so near to it the dispatcher holds jobs back. */
const USED_UP = 0.8

/** `published`: what an earlier leader has left, which this one goes on from. */
export function createGateKeeper(
  published: readonly GateRecord[],
  startMs: number,
  scaleDownAfterMs: number,
): GateKeeper {
  const states = new Map<string, GateState>()
  /** Of a stage over its lanes: what it does for the one it does not do for the other. */
  const rates = new Map<string, { readonly rate: DrainRate; wasBehind: boolean }>()
  const scales = new Map<string, ScaleState>()
  /** What an earlier leader has measured, over the lanes. */
  const ratesBefore = new Map<string, number>()
  for (const { stage, drainRate } of published) {
    ratesBefore.set(stage, (ratesBefore.get(stage) ?? 0) + drainRate)
  }
  for (const { stage, state, inFlightLimit, reason, instancesWanted } of published) {
    if (instancesWanted !== undefined) {
      scales.set(stage, {
        ...{ wanted: instancesWanted, each: 0, changedAtMs: startMs },
        ...{ shortSinceMs: undefined, ampleSinceMs: undefined },
      })
    }
    states.set(stage, {
      ...{ state, inFlightLimit, reason },
      ...{ sinceMs: startMs, decidedAtMs: startMs, finishedAtMs: startMs, finished: undefined },
      ...{ lateSinceMs: undefined, wideSinceMs: undefined, busySinceMs: undefined },
      gapMs: gapAt(ratesBefore.get(stage) ?? 0),
    })
  }

  const rateOf = (ref: string, lanes: readonly Level[], nowMs: number): DrainRate => {
    let known = rates.get(ref)
    if (known === undefined) {
      known = { rate: createDrainRate(ratesBefore.get(ref)), wasBehind: false }
      rates.set(ref, known)
    }
    const isBehind = lanes.some(isBacklog)
    const finished = lanes.reduce((sum, level) => sum + level.finished, 0)
    known.rate.sample(nowMs, finished, isBehind && known.wasBehind)
    known.wasBehind = isBehind
    return known.rate
  }

  const wantedOf = (
    { ref, replicas }: StageRecord,
    { instances, held = 0 }: StageCrew,
    load: Pick<StageLoad, 'lag' | 'waiting'>,
    gate: GateDecision,
    { perSecond: drainRate, throughput }: DrainRate,
    nowMs: number,
  ): Pick<GateRecord, 'instancesWanted'> => {
    if (replicas === undefined) return {}
    const isUsedUp = Math.max(held, load.lag) >= USED_UP * gate.inFlightLimit
    const isWaiting = load.waiting > 0
    const look = { ...replicas, instances, gate, isUsedUp, isWaiting, drainRate, throughput }
    const downAfterMs = scaleDownAfterMs
    const scale = wantInstances(scales.get(ref), { ...look, downAfterMs }, nowMs)
    scales.set(ref, scale)
    return { instancesWanted: scale.wanted }
  }

  return {
    decide(stages, levels, crewOf, nowMs) {
      const byStage = Map.groupBy(levels, ({ stage }) => stage)
      const decisions = new Map<string, KeptGate>()
      for (const stage of stages) {
        const lanes = byStage.get(stage.ref)
        if (lanes === undefined) continue
        const { inFlightMax, targetDelayMs = defaults.targetDelayMs } = stage
        const rate = rateOf(stage.ref, lanes, nowMs)
        const crew = crewOf(stage.ref)
        const load = { ...loadOf(lanes, crew, nowMs), drainRate: rate.perSecond }
        const aim = { state: stage.state, inFlightMax, targetDelayMs }
        const state = decideGate(states.get(stage.ref), aim, load, nowMs)
        states.set(stage.ref, state)
        const floor = Math.min(load.floor, inFlightMax)
        const wanted = wantedOf(stage, crew, load, state, rate, nowMs)
        decisions.set(stage.ref, { ...state, floor, ...wanted })
      }
      // What could not be measured this time is known from the time before.
      const there = new Set<string>(stages.map(({ ref }) => ref))
      for (const ref of [...states.keys()]) {
        if (there.has(ref)) continue
        states.delete(ref)
        rates.delete(ref)
        scales.delete(ref)
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
    isWide: lanes.some(({ waitingPartitions, partitions: all }) => waitingPartitions > all / 2),
    finished: sum(({ finished }) => finished),
    oldestAgeMs: Math.max(...lanes.map(({ oldestAgeMs }) => oldestAgeMs)),
    held: crew.held,
    floor: Math.max(partitions, crew.concurrency),
    isSettling: nowMs - crew.movedAtMs < SETTLE_MS,
  }
}
