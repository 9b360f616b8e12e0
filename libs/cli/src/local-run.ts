import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { exitCodes } from './exit-codes.ts'
import { Failure } from './failure.ts'
import type { Io } from './io.ts'

/** What `weir up` has written down of the installation that it has started. */
export type LocalRun = {
  readonly home: string
  readonly api: string
  readonly operatorKey: string
  /** Brokers, `host:port` with commas. */
  readonly kafka: string
}

/** The local installation of a checkout; undefined where none runs. */
export function findLocalRun(io: Io, repository: string): LocalRun | undefined {
  const home = resolve(repository, io.env.WEIR_HOME || '.weir')
  try {
    const run = JSON.parse(readFileSync(join(home, 'run.json'), 'utf8')) as Partial<LocalRun>
    const { api, operatorKey, kafka } = run
    if (api === undefined || operatorKey === undefined || kafka === undefined) return undefined
    return { home, api, operatorKey, kafka }
  } catch {
    return undefined
  }
}

/** The same, where the command is of no use without it. */
export function needLocalRun(io: Io, repository: string): LocalRun {
  const run = findLocalRun(io, repository)
  if (run !== undefined) return run
  const hint = 'start it with: weir up'
  const init = { exitCode: exitCodes.unreachable, code: 'not_running', hint }
  throw new Failure('no local installation runs here', init)
}

const keyPath = (home: string, ref: string): string => join(home, 'secrets', `stage-${ref}`)

/** The key of a stage that was registered here before, by `weir up` or `weir stage run`. */
export function readStageKey({ home }: LocalRun, ref: string): string | undefined {
  try {
    return readFileSync(keyPath(home, ref), 'utf8').trim() || undefined
  } catch {
    return undefined
  }
}

/** Keeps it readable by its owner alone, in place of one that is known no more. */
export function writeStageKey({ home }: LocalRun, ref: string, key: string): void {
  const path = keyPath(home, ref)
  mkdirSync(join(home, 'secrets'), { recursive: true, mode: 0o700 })
  const part = `${path}.${process.pid}`
  writeFileSync(part, `${key}\n`, { mode: 0o600 })
  renameSync(part, path)
}
