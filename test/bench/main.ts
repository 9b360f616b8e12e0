/**
 * The benchmark: `node test/bench/main.ts [--quick] [--only=part,…] [--profile=process,…]`. Starts a
 * whole system of its own on loopback and, in the same run and on the same broker, the same three
 * hops with the raw Kafka client. A full run writes docs/benchmarks/results.json and the tables of
 * docs/benchmarks.md; any other prints its tables and leaves the pages alone. Ends with 0 where
 * every job was found with its right result, whatever the figures.
 */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { startLocalKafka } from '../../deploy/local/kafka.ts'
import { repositoryDir } from '../../deploy/local/repository.ts'
import { describeMachine, describeVersions } from './machine.ts'
import { type Options, parseOptions } from './options.ts'
import { measureBacklog } from './parts/backlog.ts'
import { measureBaseline, measureBaselineLatency } from './parts/baseline.ts'
import { createFanOut } from './parts/fan-out.ts'
import { measureIdle } from './parts/idle.ts'
import { measureWeirLatency } from './parts/latency.ts'
import { createLinear, type Linear } from './parts/linear.ts'
import { formatHotSpots, takeProfile } from './profile.ts'
import { formatReport, writeReport } from './report.ts'
import type { Results } from './results.ts'
import { startWeir, type Weir } from './weir/system.ts'

const traceRatio = 0.01
const profileSeconds = 5
/** Seconds that a sample should take, jobs that warm up, and so on, for a full and a quick run. */
const sizes = {
  full: {
    rounds: 2,
    seconds: 12,
    warmUpJobs: 20_000,
    rawItems: 200_000,
    rawWarmUp: 20_000,
    backlog: 100_000,
    latencySeconds: 15,
    latencyRates: [50, 500],
    idleSeconds: 20,
  },
  quick: {
    rounds: 1,
    seconds: 4,
    warmUpJobs: 6_000,
    rawItems: 60_000,
    rawWarmUp: 10_000,
    backlog: 40_000,
    latencySeconds: 5,
    latencyRates: [50],
    idleSeconds: 10,
  },
} as const
type Sizes = (typeof sizes)[keyof typeof sizes]

const say = (line: string): void => {
  process.stderr.write(`bench: ${line}\n`)
}

type Raw = {
  readonly brokers: string
  readonly kafkaPid: number | undefined
  readonly warmUp: number
}

/** A sample of a few seconds, for a rate that is not known before. */
const countFor = (perSecond: number, seconds: number): number =>
  Math.min(200_000, Math.max(1_000, Math.round((perSecond * seconds) / 100) * 100))

async function measureThroughput(
  results: Results,
  { parts, profile }: Options,
  size: Sizes,
  raw: Raw,
  weir: Weir | undefined,
  linear: Linear | undefined,
  /** Of the three-step pipeline, as far as is known. */
  rate: number,
): Promise<void> {
  const isLinear = weir !== undefined && linear !== undefined && parts.includes('linear')
  const isRaw = parts.includes('baseline')
  const jobs = countFor(rate, size.seconds)
  const flood = async (): Promise<void> => {
    if (!isRaw) return
    say(`raw client: ${size.rawItems} items through three hops`)
    const sample = await measureBaseline({ ...raw, items: size.rawItems })
    say(`raw client: ${sample.perSecond.toFixed(0)} items/s`)
    results.baseline.push(sample)
  }
  const paced = async (perSecond: number): Promise<void> => {
    if (!isRaw) return
    say(`raw client: held to ${perSecond.toFixed(0)}/s`)
    const items = countFor(perSecond, size.seconds)
    results.baseline.push(
      await measureBaseline({ ...raw, items, paced: { perSecond, chunk: 100 } }),
    )
  }
  for (let round = 0; round < size.rounds; round += 1) {
    await flood()
    if (!isLinear) continue
    say(`Weir: ${jobs} jobs through three steps`)
    const sample = await linear.measure(jobs)
    say(`Weir: ${sample.perSecond.toFixed(0)} jobs/s`)
    results.linear.push(sample)
    await paced(sample.perSecond)
  }
  if (isLinear) await profileUnderLoad(profile, weir, () => linear.measure(jobs))
}

/** Before a system is started: one stage process and the broker have the machine to themselves. */
async function measureBacklogs(results: Results, size: Sizes): Promise<void> {
  const home = mkdtempSync(join(tmpdir(), 'weir-bench-'))
  const kafka = await startLocalKafka({ home, progress: say })
  const order = { brokers: kafka.brokers, warmUp: size.backlog / 2, messages: size.backlog }
  try {
    for (let round = 0; round < size.rounds; round += 1) {
      for (const side of ['raw', 'weir'] as const) {
        say(`a backlog of ${order.messages} messages: ${side === 'raw' ? 'raw client' : 'Weir'}`)
        results.backlog[side].push(await measureBacklog(side, order))
      }
    }
  } finally {
    await kafka.stop()
    rmSync(home, { recursive: true, force: true })
  }
}

async function profileUnderLoad(
  names: readonly string[],
  weir: Weir,
  load: () => Promise<unknown>,
): Promise<void> {
  for (const name of names) {
    const pid = weir.pids[name]
    if (pid === undefined) throw new Error(`--profile: no process is named ${name}`)
    const [profile] = await Promise.all([takeProfile(pid, profileSeconds), load()])
    const path = join(repositoryDir, '.weir', 'bench', `${name}.cpuprofile`)
    writeFileSync(path, JSON.stringify(profile))
    console.log(`\n${name}, ${profileSeconds} s under load:\n${formatHotSpots(profile)}`)
  }
}

async function measureLatency(
  results: Results,
  size: Sizes,
  raw: Raw,
  weir: Weir,
  linear: Linear,
): Promise<void> {
  say('warming up for latency')
  await measureWeirLatency(weir, linear, { perSecond: 200, count: 2_000 })
  for (const perSecond of size.latencyRates) {
    const schedule = { perSecond, count: perSecond * size.latencySeconds }
    const ofWeir = async (): Promise<void> => {
      say(`Weir: one job per request, ${perSecond}/s`)
      results.latency.weir.push(await measureWeirLatency(weir, linear, schedule))
    }
    const ofRaw = async (): Promise<void> => {
      say(`raw client: one item per send, ${perSecond}/s`)
      results.latency.raw.push(await measureBaselineLatency(raw, schedule))
    }
    await ofWeir()
    await ofRaw()
    if (size.rounds === 1) continue
    await ofRaw()
    await ofWeir()
  }
}

async function measureFanOut(
  results: Results,
  { profile }: Options,
  size: Sizes,
  weir: Weir,
): Promise<void> {
  const fanOut = createFanOut(weir)
  say('warming up the fan-out')
  await fanOut.measure(10)
  const { itemsPerSecond, itemsPerJob } = await fanOut.measure(20)
  const jobs = Math.min(
    1_000,
    Math.max(20, Math.ceil((itemsPerSecond * size.seconds) / itemsPerJob)),
  )
  for (let round = 0; round < size.rounds; round += 1) {
    say(`fan-out: ${jobs} jobs of ${itemsPerJob} items`)
    const sample = await fanOut.measure(jobs)
    say(`fan-out: ${sample.itemsPerSecond.toFixed(0)} items/s`)
    results.fanOut.push(sample)
  }
  await profileUnderLoad(profile, weir, () => fanOut.measure(jobs))
}

async function measureAll(options: Options): Promise<Results> {
  const size = options.isQuick ? sizes.quick : sizes.full
  const results: Results = {
    at: new Date().toISOString(),
    isQuick: options.isQuick,
    machine: describeMachine(),
    versions: describeVersions(),
    traceRatio,
    baseline: [],
    backlog: { weir: [], raw: [] },
    linear: [],
    fanOut: [],
    latency: { weir: [], raw: [] },
    idle: [],
  }
  if (options.parts.includes('backlog')) await measureBacklogs(results, size)
  if (options.parts.every((part) => part === 'backlog')) return results
  if (options.parts.every((part) => part === 'baseline' || part === 'backlog')) {
    const home = mkdtempSync(join(tmpdir(), 'weir-bench-'))
    const kafka = await startLocalKafka({ home, progress: say })
    try {
      const raw = { brokers: kafka.brokers, kafkaPid: kafka.pid, warmUp: size.rawWarmUp }
      await measureThroughput(results, options, size, raw, undefined, undefined, 0)
    } finally {
      await kafka.stop()
      rmSync(home, { recursive: true, force: true })
    }
    return results
  }
  const weir = await startWeir({ traceRatio, say })
  try {
    const raw = { brokers: weir.kafka, kafkaPid: weir.pids.kafka, warmUp: size.rawWarmUp }
    const linear = createLinear(weir)
    if (options.parts.includes('idle')) {
      say(`idle for ${size.idleSeconds} s`)
      results.idle.push(await measureIdle(weir, size.idleSeconds))
    }
    let rate = 0
    if (options.parts.includes('linear') || options.parts.includes('latency')) {
      say('warming up the three-step pipeline')
      rate = (await linear.measure(size.warmUpJobs)).perSecond
    }
    // Before the floods: what the database cleans up for minutes after one is no part of this.
    if (options.parts.includes('latency')) await measureLatency(results, size, raw, weir, linear)
    await measureThroughput(results, options, size, raw, weir, linear, rate)
    if (options.parts.includes('fan-out')) await measureFanOut(results, options, size, weir)
    if (options.parts.includes('idle')) {
      say(`idle for ${size.idleSeconds} s, after the load`)
      results.idle.push(await measureIdle(weir, size.idleSeconds))
    }
  } finally {
    say('stopping')
    await weir.stop()
  }
  return results
}

const options = parseOptions(process.argv.slice(2))
const isWhole = !options.isQuick && process.argv.length === 2
const outDir = join(repositoryDir, isWhole ? 'docs/benchmarks' : '.weir/bench')
mkdirSync(outDir, { recursive: true })
mkdirSync(join(repositoryDir, '.weir/bench'), { recursive: true })
const results = await measureAll(options)
writeFileSync(join(outDir, 'results.json'), `${JSON.stringify(results, null, 1)}\n`)
if (isWhole) writeReport(join(repositoryDir, 'docs/benchmarks.md'), results)
console.log(formatReport(results))
process.exit()
