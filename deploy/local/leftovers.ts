import { readdirSync, readFileSync } from 'node:fs'
import { waitUntil } from './wait.ts'

/**
 * Set, to the installation's home, in the environment of every supervised process and of nothing
 * else: not of the supervisor, and not WEIR_HOME, which a user's shell may have exported.
 */
export const homeMarker = 'WEIR_SUPERVISED_HOME'

/** Names the signal that asks the process to stop, for whoever finds it without its supervisor. */
export const stopSignalMarker = 'WEIR_SUPERVISED_STOP_SIGNAL'

type Leftover = { readonly pid: number; readonly stopSignal: NodeJS.Signals }

/** Processes of this home that are still running, found by their environment under /proc. */
export function findLeftovers(home: string): Leftover[] {
  return readPids().flatMap((pid) => readLeftover(pid, home) ?? [])
}

/**
 * Stops what a killed supervisor has left behind: by each one's own stop signal, then by SIGKILL
 * after `graceMs`. A process is looked at again right before each signal, so that a reused pid is
 * never hit. Returns how many were found.
 */
export async function stopLeftovers(home: string, graceMs: number): Promise<number> {
  const found = findLeftovers(home)
  if (found.length === 0) return 0
  for (const { pid, stopSignal } of found) signalLeftover(pid, home, stopSignal)
  const areGone = (): boolean => findLeftovers(home).length === 0
  if (!(await waitUntil(areGone, { timeoutMs: graceMs }))) {
    for (const { pid } of findLeftovers(home)) signalLeftover(pid, home, 'SIGKILL')
    await waitUntil(areGone, { timeoutMs: 5_000 })
  }
  return found.length
}

function signalLeftover(pid: number, home: string, signal: NodeJS.Signals): void {
  if (!readLeftover(pid, home)) return
  try {
    process.kill(pid, signal)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error
  }
}

function readPids(): number[] {
  try {
    return readdirSync('/proc')
      .filter((name) => /^\d+$/.test(name))
      .map(Number)
  } catch {
    // No /proc on this system: nothing can be told apart safely, so nothing is stopped.
    return []
  }
}

function readLeftover(pid: number, home: string): Leftover | undefined {
  try {
    const env = readFileSync(`/proc/${pid}/environ`, 'utf8').split('\0')
    if (!env.includes(`${homeMarker}=${home}`)) return undefined
    const stopSignal = env.find((entry) => entry.startsWith(`${stopSignalMarker}=`))?.split('=')[1]
    return { pid, stopSignal: (stopSignal ?? 'SIGTERM') as NodeJS.Signals }
  } catch {
    // Gone, or another user's.
    return undefined
  }
}
