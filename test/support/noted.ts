import { existsSync, readFileSync } from 'node:fs'

/** A line that an attempt left in its step's log file (test/support/stages/act.ts). */
export type Noted = {
  readonly what: string
  readonly at: number
  /** The process that has run the attempt. */
  readonly pid: number
  readonly tenant: string
  readonly job: string
  readonly run: number
  readonly step: string
  readonly item: string
  readonly attempt: number
  readonly idempotencyKey: string
}

/** What attempts have left so far, of one job where one is given. */
export function readNoted(path: string, job?: string): Noted[] {
  if (!existsSync(path)) return []
  return readFileSync(path, 'utf8')
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as Noted)
    .filter((noted) => job === undefined || noted.job === job)
}

/** The steps of which an attempt has started, each once, in alphabetical order. */
export function startedSteps(path: string, job: string): string[] {
  const steps = readNoted(path, job).flatMap(({ what, step }) => (what === 'start' ? [step] : []))
  return [...new Set(steps)].sort()
}
