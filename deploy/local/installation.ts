import { existsSync, mkdirSync } from 'node:fs'
import { resolve } from 'node:path'
import { LauncherError } from './errors.ts'
import { ensureInstallationSecrets, type InstallationSecrets } from './installation-secrets.ts'
import { prepareJaeger } from './jaeger.ts'
import { prepareKafka } from './kafka.ts'
import { migrate } from './migrate.ts'
import { findFreePort, isPortFree } from './ports.ts'
import { preparePostgres } from './postgres.ts'
import { databaseName, makeProcessEnv } from './process-env.ts'
import type { ProcessSpec } from './process-spec.ts'
import { type PlatformProcess, platformProcesses } from './processes.ts'
import { registerStage } from './register-stage.ts'
import { repositoryDir } from './repository.ts'
import { type RunFile, writeRunFile } from './run-file.ts'
import { createSupervisor } from './supervisor.ts'

const apiPortDefault = 8080

export type InstallationOptions = {
  readonly home: string
  /** The API's port; 8080, or a free one, when not given. */
  readonly apiPort?: number
  /** Names of the processes to run; all when not given. */
  readonly only?: readonly string[]
  readonly processes?: readonly PlatformProcess[]
  /** A Jaeger to run and to send all spans to, unless WEIR_OTLP_URL names another collector. */
  readonly jaegerBinary?: string | undefined
  /** Told about the steps of the start, for whoever waits. */
  readonly progress: (line: string) => void
  /** Told about what dies and is restarted later. */
  readonly log: (line: string) => void
}

export type Installation = {
  /** Resolves when everything is ready; run.json says so by then. */
  start(): Promise<RunFile>
  /** Stops everything, whatever has been started so far. */
  stop(graceMs: number): Promise<void>
}

/** A whole local installation in one home, and the keeper of its run.json. */
export function createInstallation(options: InstallationOptions): Installation {
  const { home, only, progress } = options
  const isWanted = (name: string): boolean => only === undefined || only.includes(name)
  const processes = (options.processes ?? platformProcesses).filter(({ name }) => isWanted(name))

  let run: RunFile = {
    status: 'starting',
    startedAt: new Date().toISOString(),
    ...(only ? { only } : {}),
    ...(process.env.WEIR_JAEGER_URL ? { jaeger: process.env.WEIR_JAEGER_URL } : {}),
    ...(process.env.WEIR_OTLP_URL ? { otlp: process.env.WEIR_OTLP_URL } : {}),
    supervisorPid: process.pid,
    pids: {},
    urls: {},
    stageKeys: {},
  }
  const update = (change: Partial<RunFile>): void => {
    run = { ...run, ...change }
    writeRunFile(home, run)
  }
  const supervisor = createSupervisor({
    home,
    log: options.log,
    onChange: (pids) => update({ pids }),
  })

  const startKafka = async (): Promise<void> => {
    const given = process.env.WEIR_KAFKA_BROKERS
    if (given) return update({ kafka: given })
    const { brokers, spec } = await prepareKafka({ home, progress })
    progress('starting Kafka')
    update({ kafka: brokers })
    await supervisor.add(spec)
  }

  const startPostgres = async (): Promise<void> => {
    const given = process.env.WEIR_POSTGRES_URL
    if (given) return update({ postgres: given })
    const { url, spec } = await preparePostgres({ home, progress })
    progress('starting Postgres')
    update({ postgres: url })
    await supervisor.add(spec)
  }

  const startJaeger = async (): Promise<void> => {
    if (options.jaegerBinary === undefined || run.otlp !== undefined) return
    const { url, otlpUrl, spec } = await prepareJaeger({ home, binary: options.jaegerBinary })
    progress('starting Jaeger')
    update({ jaeger: url, otlp: otlpUrl })
    await supervisor.add(spec)
  }

  const startProcess = async (
    subject: PlatformProcess,
    httpPort: number,
    secrets: InstallationSecrets,
  ): Promise<void> => {
    const { kafka = '', postgres = '', api = '', otlp, jaeger } = run
    const { stage } = subject
    const stageKey = stage && (await registerStage({ home, api, ...secrets, stage }))
    if (stageKey) update({ stageKeys: { ...run.stageKeys, [stage.ref]: stageKey } })
    const env = makeProcessEnv(subject, {
      home,
      kafka,
      postgres,
      secrets,
      httpPort,
      otlp,
      jaeger,
      ...(stageKey ? { stageKey } : {}),
    })
    progress(`starting ${subject.name}`)
    await supervisor.add(toSpec(subject, env, httpPort))
  }

  return {
    async start() {
      assertRunnable(processes)
      update({})
      const infrastructure = await Promise.allSettled([
        isWanted('kafka') && startKafka(),
        isWanted('postgres') && startPostgres(),
        isWanted('jaeger') && startJaeger(),
      ])
      for (const part of infrastructure) if (part.status === 'rejected') throw part.reason

      if (processes.length > 0) {
        const secrets = ensureInstallationSecrets(home)
        if (run.postgres && processes.some(({ databaseRole }) => databaseRole)) {
          progress('migrating the database')
          await migrate(run.postgres, secrets)
          update({ postgres: withDatabase(run.postgres) })
        }
        const ports = await choosePorts(processes, options.apiPort, progress)
        const urls = Object.fromEntries([...ports].map(([name, port]) => [name, toUrl(port)]))
        const apiName = processes.find(({ isApi }) => isApi)?.name
        update({
          urls,
          ...(apiName ? { api: urls[apiName], operatorKey: secrets.operatorKey } : {}),
        })
        for (const tier of groupByTier(processes)) {
          await Promise.all(
            tier.map((subject) => startProcess(subject, ports.get(subject.name) ?? 0, secrets)),
          )
        }
      }
      update({ status: 'ready' })
      return run
    },
    async stop(graceMs) {
      update({ status: 'stopping' })
      await supervisor.stopAll(graceMs)
    },
  }
}

function assertRunnable(processes: readonly PlatformProcess[]): void {
  const missing = processes.filter(({ main }) => !existsSync(resolve(repositoryDir, main)))
  if (missing.length > 0)
    throw new LauncherError(
      'invalid_option',
      `this checkout has no ${missing.map(({ main }) => main).join(', ')}`,
    )
  if (processes.some(({ stage }) => stage) && !processes.some(({ isApi }) => isApi))
    throw new LauncherError('invalid_option', 'stages are registered at control: run it too')
}

async function choosePorts(
  processes: readonly PlatformProcess[],
  apiPort: number | undefined,
  progress: (line: string) => void,
): Promise<Map<string, number>> {
  const ports = new Map<string, number>()
  for (const { name, isApi } of processes) {
    ports.set(name, isApi ? await chooseApiPort(apiPort, progress) : await findFreePort())
  }
  return ports
}

async function chooseApiPort(
  fixed: number | undefined,
  progress: (line: string) => void,
): Promise<number> {
  if (await isPortFree(fixed ?? apiPortDefault)) return fixed ?? apiPortDefault
  if (fixed !== undefined)
    throw new LauncherError('invalid_option', `port ${fixed} (WEIR_PORT) is in use`)
  const port = await findFreePort()
  progress(`port ${apiPortDefault} is in use, the API is on ${port}; WEIR_PORT chooses another`)
  return port
}

function groupByTier(processes: readonly PlatformProcess[]): PlatformProcess[][] {
  const tiers = [...new Set(processes.map(({ tier }) => tier))].sort((a, b) => a - b)
  return tiers.map((tier) => processes.filter((subject) => subject.tier === tier))
}

function toSpec(
  { name, main, preload, tier }: PlatformProcess,
  env: Record<string, string>,
  httpPort: number,
): ProcessSpec {
  mkdirSync(env.NODE_COMPILE_CACHE ?? '', { recursive: true })
  return {
    name,
    argv: [
      process.execPath,
      ...(preload ? ['--import', preload] : []),
      resolve(repositoryDir, main),
    ],
    env,
    cwd: repositoryDir,
    readyUrl: `${toUrl(httpPort)}/readyz`,
    tier,
  }
}

function toUrl(port: number): string {
  return `http://127.0.0.1:${port}`
}

function withDatabase(adminUrl: string): string {
  const url = new URL(adminUrl)
  url.pathname = `/${databaseName}`
  return url.href
}
