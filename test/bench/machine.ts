import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { arch, cpus, loadavg, release, totalmem, type } from 'node:os'
import { join } from 'node:path'

export type Machine = {
  readonly cpu: string
  readonly cores: number
  readonly memoryGiB: number
  readonly kernel: string
  readonly architecture: string
}

/** How busy the machine was around a sample, neighbours included. */
export type Load = {
  readonly loadAverage1: number
  /** Share of the last 10 s in which something waited for a core; null where the kernel has no PSI. */
  readonly cpuPressurePercent: number | null
}

export function describeMachine(): Machine {
  return {
    cpu: cpus()[0]?.model.trim() ?? 'unknown',
    cores: cpus().length,
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    kernel: `${type()} ${release()}`,
    architecture: arch(),
  }
}

export function readLoad(): Load {
  return { loadAverage1: loadavg()[0] ?? Number.NaN, cpuPressurePercent: readPressure() }
}

function readPressure(): number | null {
  try {
    const text = readFileSync('/proc/pressure/cpu', 'utf8')
    return Number(/^some avg10=([\d.]+)/.exec(text)?.[1] ?? Number.NaN)
  } catch {
    return null
  }
}

/** CPU milliseconds that the whole machine has used, whoever did. */
export function readBusyMs(): number {
  const [line = ''] = readFileSync('/proc/stat', 'utf8').split('\n', 1)
  // cpu, user, nice, system, idle, iowait, irq, softirq, …
  const ticks = line.split(/\s+/).slice(1).map(Number)
  return [0, 1, 2, 5, 6].reduce((sum, at) => sum + (ticks[at] ?? 0), 0) * 10
}

export function describeVersions(): Record<string, string> {
  const require = createRequire(import.meta.url)
  const kafkajs = require('kafkajs/package.json') as { version: string }
  return { node: process.version, kafkajs: kafkajs.version, commit: readCommit() }
}

function readCommit(): string {
  try {
    const cwd = join(import.meta.dirname, '../..')
    const git = (...args: string[]) => execFileSync('git', args, { cwd }).toString().trim()
    const isClean = git('status', '--porcelain', '--untracked-files=no') === ''
    return `${git('rev-parse', '--short', 'HEAD')}${isClean ? '' : ' with changes'}`
  } catch {
    return 'unknown'
  }
}
