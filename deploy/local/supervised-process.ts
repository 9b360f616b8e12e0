import { type ChildProcess, spawn } from 'node:child_process'
import { closeSync, existsSync, mkdirSync, openSync, readFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { LauncherError } from './errors.ts'
import { homeMarker, stopSignalMarker } from './leftovers.ts'
import type { ProcessSpec } from './process-spec.ts'
import { waitUntil } from './wait.ts'

const backoffBaseMs = 200
const backoffMaxMs = 10_000
const stableAfterMs = 30_000
const readyTimeoutMs = 180_000
const deathsBeforeReadyMax = 3
const logTailBytes = 2_000

export type SupervisedProcess = {
  readonly spec: ProcessSpec
  /** Undefined while it is down. */
  pid(): number | undefined
  /** Resolves when ready; fails with `not_ready` after its time, or after three deaths on the way. */
  ready(): Promise<void>
  /** Asks it to stop, kills it after `graceMs`, and starts it no more. */
  stop(graceMs: number): Promise<void>
  kill(signal: NodeJS.Signals): void
}

export type SupervisedProcessOptions = {
  readonly home: string
  readonly logFile: string
  readonly log: (line: string) => void
  readonly onChange: () => void
}

/** How long to wait before the next start, after `deaths` in a row. */
export function restartDelayMs(deaths: number): number {
  return Math.min(backoffMaxMs, backoffBaseMs * 2 ** Math.max(0, deaths - 1))
}

/** Starts a process and keeps it running until it is told to stop. */
export function superviseProcess(
  spec: ProcessSpec,
  options: SupervisedProcessOptions,
): SupervisedProcess {
  const { log, onChange } = options
  let child: ChildProcess | undefined
  let isStopping = false
  let deathsInRow = 0
  let deathsTotal = 0
  let restartTimer: NodeJS.Timeout | undefined
  let gone = Promise.resolve()

  const start = (): void => {
    const started = spawnDetached(spec, options)
    const startedAt = performance.now()
    child = started
    gone = new Promise((resolve) => {
      const end = (how: string): void => {
        if (child !== started) return
        child = undefined
        // What it started itself goes with it.
        if (started.pid !== undefined) signalGroup(started.pid, 'SIGKILL')
        resolve()
        died(how, performance.now() - startedAt)
        onChange()
      }
      started.once('error', (error) => {
        // Also emitted when a signal could not be sent; only a failed start has no pid.
        if (started.pid === undefined) end(error.message)
      })
      started.once('exit', (code, signal) => end(signal ?? `exit code ${code}`))
    })
    onChange()
  }

  const died = (how: string, livedMs: number): void => {
    if (isStopping) return
    deathsTotal += 1
    deathsInRow = livedMs >= stableAfterMs ? 1 : deathsInRow + 1
    if (spec.restart === false) {
      log(`${spec.name} ended (${how})`)
      return
    }
    const delayMs = restartDelayMs(deathsInRow)
    log(`${spec.name} ended (${how}), starting it again in ${delayMs} ms`)
    restartTimer = setTimeout(() => {
      start()
      log(`${spec.name} started again, pid ${child?.pid}`)
    }, delayMs)
  }

  const isReady = async (): Promise<boolean> => {
    const pid = child?.pid
    if (pid === undefined) return false
    if (spec.isReady) return spec.isReady(pid)
    if (spec.readyUrl) return answersOk(spec.readyUrl)
    return true
  }

  start()
  return {
    spec,
    pid: () => child?.pid,
    kill: (signal) => {
      child?.kill(signal)
    },
    async ready() {
      const deathsMax = spec.restart === false ? 1 : deathsBeforeReadyMax
      let isUp = false
      await waitUntil(
        async () => {
          isUp = await isReady().catch(() => false)
          return isUp || isStopping || deathsTotal >= deathsMax
        },
        { timeoutMs: spec.readyTimeoutMs ?? readyTimeoutMs },
      )
      if (isUp) return
      const how = deathsTotal >= deathsMax ? 'it ended while starting' : 'it did not answer in time'
      throw new LauncherError(
        'not_ready',
        `${spec.name} is not ready: ${isStopping ? 'it was told to stop' : how}.\n` +
          `The end of ${options.logFile}:\n${readTail(options.logFile)}`,
      )
    },
    async stop(graceMs) {
      isStopping = true
      clearTimeout(restartTimer)
      const stopped = child
      if (!stopped?.pid) return
      const { pid } = stopped
      const killTimer = setTimeout(() => {
        log(`${spec.name} did not stop within ${graceMs} ms, killing it`)
        signalGroup(pid, 'SIGKILL')
      }, graceMs)
      stopped.kill(spec.stopSignal ?? 'SIGTERM')
      await gone
      clearTimeout(killTimer)
    },
  }
}

function spawnDetached(spec: ProcessSpec, options: SupervisedProcessOptions): ChildProcess {
  const [program, ...args] = spec.argv
  mkdirSync(dirname(options.logFile), { recursive: true })
  const logFd = openSync(options.logFile, 'a')
  try {
    // A process group of its own: Ctrl-C reaches the supervisor alone, which stops in order.
    return spawn(program, args, {
      cwd: spec.cwd,
      env: {
        ...spec.env,
        [homeMarker]: options.home,
        [stopSignalMarker]: spec.stopSignal ?? 'SIGTERM',
      },
      ...(spec.uid === undefined ? {} : { uid: spec.uid }),
      ...(spec.gid === undefined ? {} : { gid: spec.gid }),
      detached: true,
      stdio: ['ignore', logFd, logFd],
    })
  } finally {
    closeSync(logFd)
  }
}

function signalGroup(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(-pid, signal)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error
  }
}

async function answersOk(url: string): Promise<boolean> {
  const response = await fetch(url, { signal: AbortSignal.timeout(2_000) })
  await response.body?.cancel()
  return response.ok
}

function readTail(path: string): string {
  return existsSync(path) ? readFileSync(path, 'utf8').slice(-logTailBytes) : ''
}
