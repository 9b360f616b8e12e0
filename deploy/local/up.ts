import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, mkdirSync, openSync } from 'node:fs'
import { join } from 'node:path'
import { LauncherError } from './errors.ts'
import { askHolder } from './home-lock.ts'
import { createSupervisorLog } from './logs.ts'
import { describeRun } from './print-run.ts'
import { type RunFile, readRunFile } from './run-file.ts'
import { serve } from './serve.ts'
import type { SuperviseMessage } from './supervise-message.ts'
import { parseUpOptions, type UpOptions } from './up-options.ts'
import { waitUntil } from './wait.ts'

// Longer than the sum of what a first start may take: downloads, migrations, each tier's readiness.
const startTimeoutMs = 600_000

const say = (line: string): void => {
  process.stderr.write(`weir: ${line}\n`)
}

/** Starts the background process and waits with it until everything is ready. */
async function startInBackground(options: UpOptions): Promise<void> {
  const logsDir = join(options.home, 'logs')
  mkdirSync(logsDir, { recursive: true })
  const logFd = openSync(join(logsDir, 'supervisor.log'), 'a')
  const main = join(import.meta.dirname, 'supervise-main.ts')
  const background = spawn(process.execPath, [main, ...process.argv.slice(2)], {
    cwd: '/',
    env: { ...process.env, WEIR_HOME: options.home },
    detached: true,
    stdio: ['ignore', logFd, logFd, 'ipc'],
  })
  closeSync(logFd)
  // Ctrl-C while it starts: it stops what it has started, and we wait for that.
  const pass = (): void => {
    background.kill('SIGTERM')
  }
  process.on('SIGINT', pass).on('SIGTERM', pass)

  const outcome = Promise.withResolvers<void>()
  background.on('message', (message: SuperviseMessage) => {
    if ('progress' in message) say(message.progress)
    else if ('failure' in message)
      outcome.reject(
        new LauncherError(message.failure.code as LauncherError['code'], message.failure.message),
      )
    else outcome.resolve()
  })
  background.once('exit', (code) =>
    outcome.reject(new LauncherError('not_ready', `stopped before it was ready (exit ${code})`)),
  )
  try {
    await outcome.promise
    background.unref()
  } catch (error) {
    if (background.exitCode === null && background.signalCode === null)
      await once(background, 'exit')
    throw error
  } finally {
    process.off('SIGINT', pass).off('SIGTERM', pass)
  }
}

/** Waits for an installation that another process runs or is starting. */
async function awaitRunning(options: UpOptions): Promise<RunFile> {
  const { home } = options
  const isOver = async (): Promise<boolean> =>
    readRunFile(home)?.status === 'ready' || (await askHolder(home)) === undefined
  await waitUntil(isOver, { timeoutMs: startTimeoutMs, intervalMs: 200 })
  const run = readRunFile(home)
  if (run?.status !== 'ready')
    throw new LauncherError('not_ready', `${home} is in use, but what runs there is not ready`)
  const missing =
    run.only && (options.only?.filter((name) => !run.only?.includes(name)) ?? ['rest'])
  if (missing && missing.length > 0)
    throw new LauncherError(
      'already_running',
      `only ${run.only?.join(', ')} is up in ${home}: stop it first (make down)`,
    )
  return run
}

async function up(): Promise<void> {
  const options = parseUpOptions(process.argv.slice(2), process.env)
  const { home } = options
  const print = (run: RunFile): void => console.log(describeRun(home, run))
  if ((await askHolder(home)) === undefined) {
    try {
      if (options.isForeground) {
        const log = createSupervisorLog(home, true)
        return await serve({ ...options, log, progress: log, onReady: print })
      }
      await startInBackground(options)
      say('up')
      return print(await awaitRunning(options))
    } catch (error) {
      // Another `up` was faster: from here on it is the one that runs.
      if ((error as LauncherError).code !== 'already_running') throw error
    }
  }
  const run = await awaitRunning(options)
  say('already up')
  print(run)
}

try {
  await up()
} catch (error) {
  if (!(error instanceof LauncherError)) throw error
  say(error.message)
  process.exitCode = 1
}
