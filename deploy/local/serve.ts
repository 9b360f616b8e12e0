import { mkdirSync } from 'node:fs'
import { killCommands } from './command.ts'
import { LauncherError } from './errors.ts'
import { acquireHomeLock } from './home-lock.ts'
import { createInstallation, type InstallationOptions } from './installation.ts'
import { findJaeger, jaegerHint } from './jaeger.ts'
import { stopLeftovers } from './leftovers.ts'
import { type RunFile, removeRunFile } from './run-file.ts'

const leftoverGraceMs = 10_000
const stopGraceMs = 20_000
const stopSignals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const

export type ServeOptions = InstallationOptions & { readonly onReady: (run: RunFile) => void }

/**
 * Runs an installation in this process until a signal tells it to stop; nothing of it is left when
 * this resolves or rejects. A second signal kills what has not stopped yet. Rejects when the home is
 * in use (`already_running`) or the start fails.
 */
export async function serve(options: ServeOptions): Promise<void> {
  const { home, progress, log } = options
  const jaegerBinary = chooseJaeger(options)
  mkdirSync(home, { recursive: true })
  const lock = await acquireHomeLock(home)
  if (!lock) throw new LauncherError('already_running', `${home} is in use by another process`)

  const stopped = Promise.withResolvers<'stopped'>()
  let signals = 0
  const installation = createInstallation({ ...options, jaegerBinary })
  const onSignal = (signal: NodeJS.Signals): void => {
    signals += 1
    log(`${signal}: stopping`)
    stopped.resolve('stopped')
    // Whoever asks twice has no patience for the grace time.
    if (signals > 1) void installation.stop(0)
  }
  for (const signal of stopSignals) process.on(signal, onSignal)
  try {
    const found = await stopLeftovers(home, leftoverGraceMs)
    if (found > 0) progress(`stopped ${found} processes that an earlier run had left behind`)
    const run = await Promise.race([installation.start(), stopped.promise])
    if (run !== 'stopped') {
      log('everything is ready')
      options.onReady(run)
      await stopped.promise
    }
  } finally {
    killCommands()
    await installation.stop(signals > 1 ? 0 : stopGraceMs)
    removeRunFile(home)
    for (const signal of stopSignals) process.off(signal, onSignal)
    await lock.release()
    log('stopped')
  }
}

/** The Jaeger to run beside the rest; says so where jobs will not be traced. */
function chooseJaeger({ only, progress }: ServeOptions): string | undefined {
  if (process.env.WEIR_OTLP_URL || process.env.WEIR_JAEGER_BIN === 'off') return undefined
  const isNamed = only?.includes('jaeger') === true
  if (only !== undefined && !isNamed) return undefined
  const binary = findJaeger(process.env)
  if (binary !== undefined) return binary
  if (isNamed) throw new LauncherError('invalid_option', `no Jaeger here: ${jaegerHint}`)
  progress(`no Jaeger here, so jobs are not traced: ${jaegerHint}`)
  return undefined
}
