import type { Machine } from './machine.ts'
import type { BacklogSample } from './parts/backlog.ts'
import type { BaselineSample, LatencySample } from './parts/baseline.ts'
import type { FanOutSample } from './parts/fan-out.ts'
import type { LinearSample } from './parts/linear.ts'
import { medianOf, round } from './quantiles.ts'
import type { Cost } from './sample.ts'
import { linearStages } from './weir/processes.ts'

/** All that was measured, in the order in which it was; what is derived is derived from this. */
export type Results = {
  readonly at: string
  readonly isQuick: boolean
  readonly machine: Machine
  readonly versions: Readonly<Record<string, string>>
  readonly traceRatio: number
  readonly baseline: BaselineSample[]
  readonly backlog: { readonly weir: BacklogSample[]; readonly raw: BacklogSample[] }
  readonly linear: LinearSample[]
  readonly fanOut: FanOutSample[]
  readonly latency: { readonly weir: LatencySample[]; readonly raw: LatencySample[] }
  readonly idle: Cost[]
}

export type Verdict = {
  readonly what: string
  readonly goal: string
  readonly measured: string
  readonly isMet: boolean
}

const rawStages = ['stage1', 'stage2', 'stage3'] as const
const goals = {
  stageRatio: 2,
  itemsPerSecond: 10_000,
  p50Ms: 25,
  p99Ratio: 3,
  latencyRate: 50,
  idlePercent: 10,
} as const

/** CPU microseconds per message of these processes, the mean of them. */
export function cpuPerMessage(cost: Cost, processes: readonly string[], messages: number): number {
  const ms = processes.reduce((sum, name) => sum + (cost.cpuMs[name] ?? 0), 0)
  return (ms * 1_000) / (processes.length * messages)
}

export function rawStageCost(samples: readonly BaselineSample[]): number {
  return medianOf(samples.map((sample) => cpuPerMessage(sample, rawStages, sample.items)))
}

export function weirStageCost(samples: readonly LinearSample[]): number {
  return medianOf(samples.map((sample) => cpuPerMessage(sample, linearStages, sample.jobs)))
}

export function backlogCost(samples: readonly BacklogSample[]): number {
  return medianOf(samples.map(({ cpuUs }) => cpuUs))
}

/** Cores that a process has kept busy, in percent of one. */
export function percentOf(cost: Cost, process: string): number {
  return ((cost.cpuMs[process] ?? 0) / (cost.seconds * 1_000)) * 100
}

export function totalPercent(cost: Cost): number {
  return Object.keys(cost.cpuMs).reduce((sum, name) => sum + percentOf(cost, name), 0)
}

export function judge(results: Results): Verdict[] {
  const verdicts: Verdict[] = []
  const say = (what: string, goal: string, measured: string, isMet: boolean) =>
    verdicts.push({ what, goal, measured, isMet })

  const { backlog } = results
  if (backlog.weir.length > 0 && backlog.raw.length > 0) {
    const ratio = backlogCost(backlog.weir) / backlogCost(backlog.raw)
    const what = 'CPU per message in a stage, Weir ÷ raw client, one stage alone with a backlog'
    say(what, `≤ ${goals.stageRatio}`, ratio.toFixed(2), ratio <= goals.stageRatio)
  }
  const atFull = results.baseline.filter(({ offeredPerSecond }) => offeredPerSecond === null)
  const atSameRate = results.baseline.filter(({ offeredPerSecond }) => offeredPerSecond !== null)
  for (const [raw, condition] of [
    [atFull, 'each as fast as it goes'],
    [atSameRate, 'at the same rate'],
  ] as const) {
    if (raw.length === 0 || results.linear.length === 0) continue
    const ratio = weirStageCost(results.linear) / rawStageCost(raw)
    const what = `CPU per message in a stage, Weir ÷ raw client, ${condition}`
    say(what, `≤ ${goals.stageRatio}`, ratio.toFixed(2), ratio <= goals.stageRatio)
  }
  if (results.fanOut.length > 0) {
    const rate = medianOf(results.fanOut.map(({ itemsPerSecond }) => itemsPerSecond))
    const isMet = rate >= goals.itemsPerSecond
    say('Fan-out of 500 items a job', `≥ ${goals.itemsPerSecond} items/s`, rate.toFixed(0), isMet)
  }
  const weir = results.latency.weir.filter((sample) => isAtGoalRate(sample))
  const raw = results.latency.raw.filter((sample) => isAtGoalRate(sample))
  if (weir.length > 0) {
    const p50 = medianOf(weir.map(({ latencyMs }) => latencyMs.p50))
    say(
      'Latency at 50 jobs/s, p50',
      `≤ ${goals.p50Ms} ms`,
      `${p50.toFixed(1)} ms`,
      p50 <= goals.p50Ms,
    )
  }
  if (weir.length > 0 && raw.length > 0) {
    const p99 = (samples: readonly LatencySample[]) =>
      medianOf(samples.map(({ latencyMs }) => latencyMs.p99))
    const ratio = p99(weir) / p99(raw)
    const what = 'Latency at 50 jobs/s, p99, Weir ÷ raw client'
    say(what, `≤ ${goals.p99Ratio}`, ratio.toFixed(2), ratio <= goals.p99Ratio)
  }
  if (results.idle.length > 0) {
    const percent = round(medianOf(results.idle.map(totalPercent)))
    const isMet = percent <= goals.idlePercent
    say(
      'Idle, all processes',
      `≤ ${goals.idlePercent} % of a core`,
      `${percent.toFixed(1)} %`,
      isMet,
    )
  }
  return verdicts
}

const isAtGoalRate = ({ offeredPerSecond }: LatencySample): boolean =>
  offeredPerSecond === goals.latencyRate
