import { readConfig } from './config.ts'
import { withDeadline } from './deadline.ts'
import { createHealth, type Health, type ReadyCheck } from './health.ts'
import { createLogger, drainLogs, flushLogs, type Logger } from './logger.ts'
import { whole } from './settings.ts'
import { logSettings } from './shared-settings.ts'
import { shutdownTelemetry } from './telemetry.ts'

export type ServiceContext = {
  readonly name: string
  readonly log: Logger
  readonly health: Health
  /** Aborts when the stop begins. */
  readonly signal: AbortSignal
  /** Ends the process as a failure, after an orderly stop: for a part that cannot go on. */
  fail(error: unknown): void
}

export type RunningService = {
  /** Added to the context's health. */
  readonly checks?: readonly ReadyCheck[]
  /** Drains and closes; has the grace (WEIR_STOP_GRACE_MS). */
  stop(): Promise<void>
}

const settings = {
  ...logSettings,
  stopGraceMs: whole('WEIR_STOP_GRACE_MS', { default: 10_000, min: 0, max: 600_000 }),
}

/** A handle that nobody closed must not keep a stopped process. */
const LINGER_MS = 1000

/**
 * Runs one process: starts, waits for SIGTERM or SIGINT, stops within the grace, writes out logs and
 * spans, and sets the exit code: 0 after an orderly stop; 1 when the start or the stop failed, the
 * grace ran out, a second signal came, or something threw where nobody caught it.
 */
export async function runService(
  name: string,
  start: (context: ServiceContext) => Promise<RunningService>,
): Promise<void> {
  let log = createLogger({ service: name })
  let graceMs = 10_000
  const health = createHealth()
  const stopping = new AbortController()
  let failure: unknown

  const die = (error: unknown, message: string): void => {
    log.fatal({ err: error }, message)
    flushLogs()
    process.exit(1)
  }
  process.on('uncaughtException', (error) => die(error, 'an exception was not caught'))
  process.on('unhandledRejection', (error) => die(error, 'a rejection was not handled'))
  const onSignal = (signal: string): void => {
    if (stopping.signal.aborted) {
      die(undefined, `${signal} again: stopping at once`)
      return
    }
    log.info({ signal }, 'stopping')
    stopping.abort()
  }
  process.on('SIGTERM', onSignal)
  process.on('SIGINT', onSignal)

  // Between two connections there may be nothing that keeps the process: it lives until it is told.
  const alive = setInterval(() => {}, 2 ** 30)
  let running: RunningService | undefined
  try {
    const config = readConfig(settings)
    graceMs = config.stopGraceMs
    log = createLogger({ service: name, level: config.logLevel })
    const fail = (error: unknown): void => {
      if (stopping.signal.aborted) return
      failure = error
      log.error({ err: error }, 'a part of the process cannot go on')
      stopping.abort()
    }
    const starting = start({ name, log, health, signal: stopping.signal, fail })
    // A start that waits for Kafka or Postgres has to end too when it is told to stop.
    running = await Promise.race([starting, graceAfter(stopping.signal, graceMs)])
    if (running === undefined) throw new Error('the stop came during the start')
    if (running.checks !== undefined) health.add(...running.checks)
    log.info('started')
  } catch (error) {
    log.fatal({ err: error }, 'the start failed')
    process.exitCode = 1
  }

  if (running !== undefined) {
    await untilAborted(stopping.signal)
    health.stop()
    process.exitCode = failure === undefined ? 0 : 1
    try {
      await withDeadline(running.stop(), graceMs, 'the stop')
      log.info('stopped')
    } catch (error) {
      log.error({ err: error }, 'the stop failed')
      process.exitCode = 1
    }
  }
  await shutdownTelemetry()
  clearInterval(alive)
  await drainLogs()
  setTimeout(() => process.exit(), LINGER_MS).unref()
}

async function graceAfter(signal: AbortSignal, graceMs: number): Promise<undefined> {
  await untilAborted(signal)
  await new Promise((resolve) => setTimeout(resolve, graceMs).unref())
}

function untilAborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve()
  return new Promise((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }))
}
