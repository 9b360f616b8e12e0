import { join } from 'node:path'
import { trimLogs } from './logs.ts'
import type { ProcessSpec } from './process-spec.ts'
import { type SupervisedProcess, superviseProcess } from './supervised-process.ts'

const trimLogsEveryMs = 60_000

export type Supervisor = {
  /** Starts a process and resolves when it is ready; from then on it is kept running. */
  add(spec: ProcessSpec): Promise<void>
  /** The processes that are up, by name. */
  pids(): Record<string, number>
  /** Sends a signal to one process, as a fault would; it is started again. */
  kill(name: string, signal: NodeJS.Signals): void
  /** Stops all, higher tiers first, killing what is still there after `graceMs`. */
  stopAll(graceMs: number): Promise<void>
}

export type SupervisorOptions = {
  readonly home: string
  /** Called whenever a process has started or ended. */
  readonly onChange?: (pids: Record<string, number>) => void
  readonly log?: (line: string) => void
}

/** Runs child processes, each with a log file under `<home>/logs`, and restarts what dies. */
export function createSupervisor(options: SupervisorOptions): Supervisor {
  const { home, log = () => {} } = options
  const logsDir = join(home, 'logs')
  const processes = new Map<string, SupervisedProcess>()
  const trimTimer = setInterval(() => trimLogs(logsDir), trimLogsEveryMs).unref()
  let isStopping = false

  const pids = (): Record<string, number> => {
    const running: Record<string, number> = {}
    for (const [name, process] of processes) {
      const pid = process.pid()
      if (pid !== undefined) running[name] = pid
    }
    return running
  }

  return {
    async add(spec) {
      if (isStopping) throw new Error(`${spec.name} not started: the supervisor is stopping`)
      if (processes.has(spec.name)) throw new Error(`${spec.name} is already supervised`)
      const process = superviseProcess(spec, {
        home,
        logFile: join(logsDir, `${spec.name}.log`),
        log,
        // The first call comes before the process is in the map.
        onChange: () => options.onChange?.(pids()),
      })
      processes.set(spec.name, process)
      options.onChange?.(pids())
      await process.ready()
    },
    pids,
    kill: (name, signal) => processes.get(name)?.kill(signal),
    async stopAll(graceMs) {
      isStopping = true
      clearInterval(trimTimer)
      const tiers = new Set([...processes.values()].map(({ spec }) => spec.tier ?? 0))
      for (const tier of [...tiers].sort((a, b) => b - a)) {
        const members = [...processes.values()].filter(({ spec }) => (spec.tier ?? 0) === tier)
        await Promise.all(members.map((member) => member.stop(graceMs)))
      }
    },
  }
}
