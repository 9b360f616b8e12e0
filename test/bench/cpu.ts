import { readdirSync, readFileSync } from 'node:fs'

/** CPU milliseconds that each process has used since it began, by name. */
export type CpuReading = Readonly<Record<string, number>>

// USER_HZ: what /proc counts in, 100 a second on every Linux.
const TICK_MS = 10

type Stat = { readonly parent: number; readonly ownMs: number; readonly reapedMs: number }

/**
 * Reads the CPU time of these processes, all threads, user and system. What a process has started
 * counts as its own, living or ended: a Postgres server is its backends.
 */
export function readCpu(pids: Readonly<Record<string, number>>): CpuReading {
  const stats = readStats()
  const children = new Map<number, number[]>()
  for (const [pid, { parent }] of stats)
    children.set(parent, [...(children.get(parent) ?? []), pid])
  const treeMs = (pid: number): number => {
    const stat = stats.get(pid)
    if (stat === undefined) return 0
    const below = (children.get(pid) ?? []).reduce((sum, child) => sum + treeMs(child), 0)
    return stat.ownMs + stat.reapedMs + below
  }
  // This process has the others among its children: of it only what it does itself counts.
  return Object.fromEntries(
    Object.entries(pids).map(([name, pid]) => [
      name,
      pid === process.pid ? (stats.get(pid)?.ownMs ?? 0) : treeMs(pid),
    ]),
  )
}

/** What each process has used between two readings. */
export function cpuBetween(before: CpuReading, after: CpuReading): CpuReading {
  return Object.fromEntries(
    Object.entries(after).map(([name, ms]) => [name, ms - (before[name] ?? 0)]),
  )
}

function readStats(): Map<number, Stat> {
  const stats = new Map<number, Stat>()
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) continue
    try {
      const text = readFileSync(`/proc/${name}/stat`, 'utf8')
      // The program's name, in brackets, may hold anything; the state follows it.
      const fields = text.slice(text.lastIndexOf(')') + 2).split(' ')
      const ticks = (at: number): number => Number(fields[at])
      stats.set(Number(name), {
        parent: ticks(1),
        ownMs: (ticks(11) + ticks(12)) * TICK_MS,
        reapedMs: (ticks(13) + ticks(14)) * TICK_MS,
      })
    } catch {
      // Ended since the folder was read.
    }
  }
  return stats
}
