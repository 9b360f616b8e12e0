import { mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

/** What `<home>/run.json` says about a running installation. Readable by its owner alone. */
export type RunFile = {
  readonly status: 'starting' | 'ready' | 'stopping'
  readonly startedAt: string
  /** Names given with `--only`; absent when everything runs. */
  readonly only?: readonly string[]
  /** Base URL of the REST API. */
  readonly api?: string
  readonly operatorKey?: string
  /** Brokers as `host:port,…`. */
  readonly kafka?: string
  /** Connection URL of the superuser. */
  readonly postgres?: string
  /** Base URL of Jaeger's pages. */
  readonly jaeger?: string
  /** Where spans go: for WEIR_OTLP_URL of a stage that is run beside. */
  readonly otlp?: string
  readonly supervisorPid: number
  /** By process name; what is being restarted is missing. */
  readonly pids: Readonly<Record<string, number>>
  /** By process name: `/healthz`, `/readyz` and `/metrics` are below. */
  readonly urls: Readonly<Record<string, string>>
  /** By stage reference, `locate@1`. */
  readonly stageKeys: Readonly<Record<string, string>>
}

export function runFilePath(home: string): string {
  return join(home, 'run.json')
}

/** Replaces the file as a whole: a reader sees the old text or the new one. */
export function writeRunFile(home: string, run: RunFile): void {
  mkdirSync(home, { recursive: true })
  const part = join(home, `.run.json.${process.pid}`)
  writeFileSync(part, `${JSON.stringify(run, null, 2)}\n`, { mode: 0o600 })
  renameSync(part, runFilePath(home))
}

export function readRunFile(home: string): RunFile | undefined {
  try {
    return JSON.parse(readFileSync(runFilePath(home), 'utf8')) as RunFile
  } catch {
    return undefined
  }
}

export function removeRunFile(home: string): void {
  rmSync(runFilePath(home), { force: true })
}
