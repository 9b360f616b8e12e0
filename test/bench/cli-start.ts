/**
 * How long `weir` takes to start: `node test/bench/cli-start.ts [rounds]` (default 20). Each round
 * runs an empty program of Node and two commands that talk to nobody, one after the other, so that
 * what disturbs the machine disturbs all. Prints a table; ends with 1 where a command fails.
 */
import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describeMachine, describeVersions, readLoad } from './machine.ts'
import { medianOf } from './quantiles.ts'

const weir = join(import.meta.dirname, '../../libs/cli/bin/weir.js')
const programs: Readonly<Record<string, readonly string[]>> = {
  'node -e 0': ['-e', '0'],
  'weir --version': [weir, '--version'],
  'weir help': [weir, 'help'],
}

type Sample = { readonly wallMs: number; readonly cpuMs: number }

const rounds = Number(process.argv[2] ?? 20)
if (!Number.isInteger(rounds) || rounds < 1)
  throw new Error('rounds must be a whole number above 0')

const before = readLoad()
// The first one of each fills the cache of compiled code, as the first use of an installation does.
for (const args of Object.values(programs)) runOnce(args)
const samples = new Map<string, Sample[]>(Object.keys(programs).map((name) => [name, []]))
for (let round = 0; round < rounds; round += 1) {
  for (const [name, args] of Object.entries(programs)) samples.get(name)?.push(runOnce(args))
}
console.log(describe(samples).join('\n'))

function runOnce(args: readonly string[]): Sample {
  const usedBefore = readChildrenMs()
  const startedAt = performance.now()
  const { status, stderr } = spawnSync(process.execPath, args)
  const wallMs = performance.now() - startedAt
  if (status !== 0) throw new Error(`${args.join(' ')} ended with ${status}: ${stderr}`)
  return { wallMs, cpuMs: readChildrenMs() - usedBefore }
}

/** CPU milliseconds, user and system, of the children that have ended. */
function readChildrenMs(): number {
  const text = readFileSync('/proc/self/stat', 'utf8')
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ')
  return (Number(fields[13]) + Number(fields[14])) * 10
}

function describe(all: ReadonlyMap<string, readonly Sample[]>): string[] {
  const { cpu, cores, kernel } = describeMachine()
  const { node, commit } = describeVersions()
  const [base] = [...all.values()].map(summarise)
  const lines = [...all].map(([name, some]) => {
    const { wallMs, maxMs, cpuMs } = summarise(some)
    const ratio = wallMs / (base?.wallMs ?? Number.NaN)
    const more = wallMs - (base?.wallMs ?? Number.NaN)
    const cells = [wallMs, maxMs, cpuMs, more].map((ms) => ms.toFixed(0))
    return `| \`${name}\` | ${cells.join(' | ')} | ${ratio.toFixed(2)} |`
  })
  const { loadAverage1, cpuPressurePercent } = before
  return [
    `Measured ${new Date().toISOString().slice(0, 10)} at ${commit}, ${rounds} rounds, on ${cores} cores ` +
      `(${cpu}), ${kernel}, Node ${node}; load before ${loadAverage1}, CPU pressure ${cpuPressurePercent} %.`,
    '',
    '|  | median ms | max ms | mean CPU ms | more than Node, ms | ÷ Node |',
    '|---|--:|--:|--:|--:|--:|',
    ...lines,
  ]
}

/** The kernel tells the CPU time in steps of 10 ms: of it only the mean says anything. */
function summarise(some: readonly Sample[]): Sample & { readonly maxMs: number } {
  const walls = some.map(({ wallMs }) => wallMs)
  const cpuMs = some.reduce((sum, sample) => sum + sample.cpuMs, 0) / some.length
  return { wallMs: medianOf(walls), maxMs: Math.max(...walls), cpuMs }
}
