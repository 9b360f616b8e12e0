import { mkdirSync } from 'node:fs'
import { resolve } from 'node:path'
import { LauncherError } from './errors.ts'
import { acquireHomeLock } from './home-lock.ts'
import { type LocalKafka, startLocalKafka } from './kafka.ts'
import { stopLeftovers } from './leftovers.ts'
import { guardAgainstOwnDeath } from './parent-guard.ts'
import { type LocalPostgres, startLocalPostgres } from './postgres.ts'

const leftoverGraceMs = 10_000

export type Infrastructure = {
  readonly kafka: LocalKafka
  readonly postgres: LocalPostgres
  /** Stops both; safe to call twice. */
  stop(): Promise<void>
}

export type InfrastructureOptions = {
  readonly home: string
  readonly progress?: (line: string) => void
}

/**
 * Starts Kafka and Postgres for a test suite, in `home`, which no other process may be using. They
 * end with `stop`, or with this process.
 */
export async function startInfrastructure(options: InfrastructureOptions): Promise<Infrastructure> {
  const home = resolve(options.home)
  mkdirSync(home, { recursive: true })
  const lock = await acquireHomeLock(home)
  if (!lock) throw new LauncherError('already_running', `${home} is in use by another process`)
  await stopLeftovers(home, leftoverGraceMs)

  const starts = await Promise.allSettled([
    startLocalKafka({ ...options, home }),
    startLocalPostgres({ ...options, home }),
  ])
  const [kafka, postgres] = starts
  const stopBoth = async (): Promise<void> => {
    await Promise.all(starts.map((start) => start.status === 'fulfilled' && start.value.stop()))
    await lock.release()
  }
  if (kafka.status === 'rejected' || postgres.status === 'rejected') {
    await stopBoth()
    throw kafka.status === 'rejected' ? kafka.reason : (postgres as PromiseRejectedResult).reason
  }
  const ours = [kafka.value.pid, postgres.value.pid].filter((pid) => pid !== undefined)
  const guard = guardAgainstOwnDeath(home, ours)
  let stopped: Promise<void> | undefined
  return {
    kafka: kafka.value,
    postgres: postgres.value,
    stop: () => {
      stopped ??= stopBoth().finally(() => guard.release())
      return stopped
    },
  }
}
