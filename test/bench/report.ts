import { readFileSync, writeFileSync } from 'node:fs'
import type { BacklogSample } from './parts/backlog.ts'
import type { LatencySample } from './parts/baseline.ts'
import {
  cpuPerMessage,
  judge,
  percentOf,
  type Results,
  rawStageCost,
  totalPercent,
  weirStageCost,
} from './results.ts'
import type { Cost } from './sample.ts'

const start = '<!-- results: written by `make bench` -->'
const end = '<!-- end of results -->'

/** Puts the tables of a run between the markers of a page; what stands around them is kept. */
export function writeReport(path: string, results: Results): void {
  const page = readFileSync(path, 'utf8')
  const from = page.indexOf(start)
  const to = page.indexOf(end)
  if (from === -1 || to < from) throw new Error(`${path} has no place for the results`)
  const text = `${page.slice(0, from + start.length)}\n\n${formatReport(results)}\n\n${page.slice(to)}`
  writeFileSync(path, text)
}

export function formatReport(results: Results): string {
  const { machine, versions } = results
  const parts = [
    `Measured ${results.at.slice(0, 10)} at ${versions.commit} on ${machine.cores} cores ` +
      `(${machine.cpu}), ${machine.memoryGiB} GiB, ${machine.kernel}, Node ${versions.node}, ` +
      `kafkajs ${versions.kafkajs}; traces sampled at ${results.traceRatio * 100} %` +
      `${results.isQuick ? '; a quick run' : ''}.`,
    ...formatVerdicts(results),
    ...formatBacklog(results),
    ...formatThroughput(results),
    ...formatFanOut(results),
    ...formatLatency(results),
    ...formatIdle(results),
  ]
  return parts.join('\n\n')
}

function formatVerdicts(results: Results): string[] {
  const verdicts = judge(results)
  if (verdicts.length === 0) return []
  const rows = verdicts.map(({ what, goal, measured, isMet }) => [
    what,
    goal,
    measured,
    isMet ? 'yes' : '**no**',
  ])
  return [table(['', 'goal', 'measured', 'met'], rows)]
}

function formatBacklog({ backlog }: Results): string[] {
  const rows = (who: string, samples: readonly BacklogSample[]) =>
    samples.map((sample) => [
      who,
      sample.perSecond.toFixed(0),
      sample.cpuUs.toFixed(1),
      ...spread(sample),
    ])
  const all = [...rows('Weir', backlog.weir), ...rows('raw client', backlog.raw)]
  if (all.length === 0) return []
  return [
    '### One stage alone with a backlog',
    table(['', 'messages/s', 'µs CPU a message', ...spreadHeader], all),
  ]
}

function formatThroughput({ baseline, linear }: Results): string[] {
  const parts: string[] = []
  if (baseline.length > 0) {
    const rows = baseline.map((sample) => [
      sample.offeredPerSecond === null
        ? `raw client, as fast as it goes`
        : `raw client, held to ${sample.offeredPerSecond.toFixed(0)}/s in sends of ${sample.chunk}`,
      sample.perSecond.toFixed(0),
      cpuPerMessage(sample, ['stage1', 'stage2', 'stage3'], sample.items).toFixed(1),
      ...spread(sample),
    ])
    parts.push(
      '### Three hops with the raw client',
      table(['', 'messages/s', 'µs CPU a message and stage', ...spreadHeader], rows),
    )
  }
  if (linear.length > 0) {
    const rows = linear.map((sample) => [
      'three-step pipeline',
      sample.perSecond.toFixed(0),
      cpuPerMessage(sample, ['bench-a', 'bench-b', 'bench-c'], sample.jobs).toFixed(1),
      ...spread(sample),
    ])
    parts.push(
      '### The three-step pipeline',
      table(['', 'jobs/s', 'µs CPU a message and stage', ...spreadHeader], rows),
      'CPU milliseconds per 1,000 jobs of every process, per round:',
      perProcess(linear, (sample, name) => (sample.cpuMs[name] ?? 0) / (sample.jobs / 1_000)),
    )
    if (baseline.length > 0)
      parts.push(
        `A message costs a stage of Weir ${weirStageCost(linear).toFixed(1)} µs of CPU (median); ` +
          `with the raw client ${rawStageCost(baseline.filter(isFull)).toFixed(1)} µs as fast as ` +
          `it goes, ${rawStageCost(baseline.filter((one) => !isFull(one))).toFixed(1)} µs at ` +
          'about the same rate.',
      )
  }
  return parts
}

const isFull = ({ offeredPerSecond }: { offeredPerSecond: number | null }): boolean =>
  offeredPerSecond === null

function formatFanOut({ fanOut }: Results): string[] {
  if (fanOut.length === 0) return []
  const rows = fanOut.map((sample) => [
    `${sample.jobs} jobs of ${sample.itemsPerJob} items`,
    sample.itemsPerSecond.toFixed(0),
    cpuPerMessage(sample, ['bench-a', 'bench-b'], sample.jobs * sample.itemsPerJob).toFixed(1),
    ...spread(sample),
  ])
  return [
    '### Fan-out',
    table(['', 'items/s', 'µs CPU an item and stage', ...spreadHeader], rows),
    'CPU milliseconds per 1,000 items of every process, per round:',
    perProcess(
      fanOut,
      (sample, name) => (sample.cpuMs[name] ?? 0) / ((sample.jobs * sample.itemsPerJob) / 1_000),
    ),
  ]
}

function formatLatency({ latency }: Results): string[] {
  const rows = (who: string, samples: readonly LatencySample[]) =>
    samples.map((sample) => [
      `${who}, ${sample.offeredPerSecond}/s`,
      String(sample.latencyMs.count),
      ...[
        sample.latencyMs.p50,
        sample.latencyMs.p95,
        sample.latencyMs.p99,
        sample.latencyMs.max,
      ].map((ms) => ms.toFixed(1)),
      sample.lateMs.p99.toFixed(1),
      ...spread(sample),
    ])
  const all = [...rows('Weir', latency.weir), ...rows('raw client', latency.raw)]
  if (all.length === 0) return []
  return [
    '### Latency at a fixed rate',
    table(['', 'count', 'p50 ms', 'p95', 'p99', 'max', 'generator late p99', ...spreadHeader], all),
  ]
}

function formatIdle({ idle }: Results): string[] {
  if (idle.length === 0) return []
  return [
    '### Idle',
    'Percent of a core, per process:',
    perProcess(idle, percentOf),
    `All together: ${idle.map((cost) => `${totalPercent(cost).toFixed(1)} %`).join(', ')}.`,
  ]
}

const spreadHeader = ['neighbours’ cores', 'load', 'CPU pressure %']

/** What tells whether a sample can be trusted. */
function spread({ foreignCores, after }: Cost): string[] {
  return [
    foreignCores.toFixed(2),
    after.loadAverage1.toFixed(1),
    after.cpuPressurePercent?.toFixed(0) ?? '–',
  ]
}

function perProcess<Sample extends Cost>(
  samples: readonly Sample[],
  value: (sample: Sample, process: string) => number,
): string {
  const names = Object.keys(samples[0]?.cpuMs ?? {})
  return table(
    ['process', ...samples.map((_, i) => `round ${i + 1}`)],
    names.map((name) => [name, ...samples.map((sample) => value(sample, name).toFixed(1))]),
  )
}

function table(header: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`
  return [
    line(header),
    `|${header.map((_, i) => (i === 0 ? '---' : '--:')).join('|')}|`,
    ...rows.map(line),
  ].join('\n')
}
