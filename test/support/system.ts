import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { createTopics } from '@weir/contracts'
import { connectKafka, createReader, type Kafka, type KafkaRecord } from '@weir/kafka'
import { asTenant, createPool, INSTALLATION, type Pool } from '@weir/postgres'
import { createInstallation } from '../../deploy/local/installation.ts'
import { ensureInstallationSecrets } from '../../deploy/local/installation-secrets.ts'
import { findLeftovers, stopLeftovers } from '../../deploy/local/leftovers.ts'
import { guardAgainstOwnDeath, type ParentGuard } from '../../deploy/local/parent-guard.ts'
import { findFreePort } from '../../deploy/local/ports.ts'
import { makeProcessEnv, writeRoleUrl } from '../../deploy/local/process-env.ts'
import { type PlatformProcess, platformProcesses } from '../../deploy/local/processes.ts'
import { registerStage } from '../../deploy/local/register-stage.ts'
import { repositoryDir } from '../../deploy/local/repository.ts'
import { type RunFile, readRunFile } from '../../deploy/local/run-file.ts'
import { createSupervisor } from '../../deploy/local/supervisor.ts'
import { type Client, createClient } from './api-client.ts'
import { checkLogs } from './log-check.ts'
import { until } from './until.ts'

const STOP_GRACE_MS = 10_000
const LEFTOVER_GRACE_MS = 2_000
const RESTART_MS = 30_000
const READ_MS = 20_000
const preload = '@weir/runtime/telemetry'

/** Names of the platform's own processes; more stages come with the options. */
const PLATFORM = ['control', 'ledger', 'dispatcher', 'watchdog']

export type StageProcess = {
  /** Name of the process and, up to a dot, of the stage: `act`, `act.2`. */
  readonly name: string
  /** File under test/support/stages, without `.ts`; the name where nothing is said. */
  readonly file?: string
  readonly partitions?: number
}

export type SystemOptions = {
  readonly stages?: readonly StageProcess[]
  /** Demo stages of the repository, by name. */
  readonly demoStages?: readonly string[]
  /** Control instances; all but the first are found with `clientAt`. */
  readonly controls?: number
  /** Watchdog instances: one leads, the others stand by. */
  readonly watchdogs?: number
  readonly logLevel?: 'debug' | 'info' | 'warn' | 'error'
  /** A Jaeger program to run, and to send all spans to. */
  readonly jaegerBinary?: string
  /** Settings of all processes, for example WEIR_OTLP_URL. */
  readonly env?: Readonly<Record<string, string>>
}

export type Tenant = { readonly id: string; readonly name: string; readonly client: Client }

/** A whole installation of a test file's own: real Kafka, real Postgres, every part a process. */
export type System = {
  readonly home: string
  readonly api: string
  readonly operator: Client
  readonly kafka: Kafka
  readonly topics: ReturnType<typeof createTopics>
  readonly run: RunFile
  /** A tenant whose client has its first key; names need not be unique. */
  tenant(name: string, quotas?: Readonly<Record<string, number>>): Promise<Tenant>
  /** The same key at another control instance, by the name of its process. */
  clientAt(process: string, client: Client): Client
  pid(process: string): number | undefined
  /** The samples that a process shows on /metrics, as `name{labels}` and value. */
  metrics(process: string): Promise<ReadonlyMap<string, number>>
  /** Kills a process and waits until another has taken its place and is ready. */
  kill(process: string, signal?: NodeJS.Signals): Promise<void>
  /** Registers a stage that no process runs yet. */
  register(stage: StageProcess): Promise<void>
  /** Starts one more process of a stage; its name must be new. Resolves when it is ready. */
  start(stage: StageProcess): Promise<void>
  /** Starts one whose readiness nobody waits for. */
  startUnready(stage: StageProcess): Promise<void>
  /** Ends a process that `start` has started, by its own signal and within its grace. */
  stopStage(process: string): Promise<void>
  /** All records of a topic up to its end as of now. */
  read(topic: string): Promise<readonly KafkaRecord[]>
  /** What the database answers to who asks as control, in the name of a tenant. */
  query<Row>(tenant: string, text: string, values?: readonly unknown[]): Promise<Row[]>
  /** Parsed lines of a process' log; what is no JSON is left out. */
  log(process: string): readonly Record<string, unknown>[]
  /** A path in the home, for stages to write to. */
  file(name: string): string
  /** Ends all of it; fails where a log of one of its tenants has what the catalogues do not know. */
  stop(): Promise<void>
}

type Late = {
  readonly supervisor: ReturnType<typeof createSupervisor>
  readonly url: string
}

function toProcess({ name, file, partitions = 4 }: StageProcess): PlatformProcess {
  const stage = name.split('.')[0] as string
  return {
    name,
    main: `test/support/stages/${file ?? stage}.ts`,
    preload,
    stage: { ref: `${stage}@1`, partitions },
    tier: 3,
  }
}

function platformOf(options: SystemOptions): PlatformProcess[] {
  const wanted = [...PLATFORM, ...(options.demoStages ?? [])]
  const processes = platformProcesses.filter(({ name }) => wanted.includes(name))
  const control = processes.find(({ name }) => name === 'control') as PlatformProcess
  for (let number = 2; number <= (options.controls ?? 1); number += 1) {
    // The second finds what the first has set up.
    processes.push({ ...control, name: `control.${number}`, isApi: false, tier: 2 })
  }
  const watchdog = processes.find(({ name }) => name === 'watchdog') as PlatformProcess
  for (let number = 2; number <= (options.watchdogs ?? 1); number += 1) {
    processes.push({ ...watchdog, name: `watchdog.${number}` })
  }
  return processes
}

/** Starts an installation in a home of its own; `stop` ends and removes all of it. */
export async function startSystem(options: SystemOptions = {}): Promise<System> {
  // What a developer's shell, or the runner of the suites, says is not for this installation.
  for (const name of Object.keys(process.env))
    if (name.startsWith('WEIR_')) delete process.env[name]
  Object.assign(process.env, { WEIR_LOG_LEVEL: options.logLevel ?? 'info', ...options.env })
  const home = mkdtempSync(join(tmpdir(), 'weir-e2e-'))
  const quiet = (): void => {}
  const installation = createInstallation({
    home,
    apiPort: await findFreePort(),
    jaegerBinary: options.jaegerBinary,
    processes: [...platformOf(options), ...(options.stages ?? []).map(toProcess)],
    progress: quiet,
    log: quiet,
  })
  const late = new Map<string, Late>()
  const tenants: string[] = []
  let guard: ParentGuard | undefined

  /** A runner that is killed leaves nothing behind, whatever was restarted meanwhile. */
  const renewGuard = () => {
    guard?.release()
    guard = guardAgainstOwnDeath(
      home,
      findLeftovers(home).map(({ pid }) => pid),
    )
  }

  let pool: Pool | undefined

  const stop = async () => {
    await pool?.end()
    await Promise.all([...late.values()].map(({ supervisor }) => supervisor.stopAll(STOP_GRACE_MS)))
    await installation.stop(STOP_GRACE_MS)
    guard?.release()
    await stopLeftovers(home, LEFTOVER_GRACE_MS)
    if (process.env.KEEP_HOME === undefined) rmSync(home, { recursive: true, force: true })
    else process.stderr.write(`kept ${home}\n`)
  }

  let run: RunFile
  try {
    run = await installation.start()
    renewGuard()
  } catch (error) {
    await stop()
    throw error
  }
  const { api = '', operatorKey = '', kafka: brokers = '', postgres = '' } = run
  const kafka = connectKafka({ brokers: brokers.split(','), clientId: 'weir-e2e' })
  const topics = createTopics('weir')
  const operator = createClient(api, operatorKey)
  const secrets = ensureInstallationSecrets(home)
  const pids = () => readRunFile(home)?.pids ?? {}
  const urlOf = (name: string): string => run.urls[name] ?? ''

  const asControl = (): Pool => {
    const url = writeRoleUrl(postgres, 'weir_control', secrets.passwords.control)
    pool ??= createPool({ url, max: 1, applicationName: 'weir-e2e' })
    return pool
  }

  const register = ({ name, partitions = 4 }: StageProcess) =>
    registerStage({
      home,
      api,
      operatorKey,
      stage: { ref: `${name.split('.')[0]}@1`, partitions },
    })

  const start = async (stage: StageProcess, isAwaited: boolean) => {
    const subject = toProcess(stage)
    const stageKey = await register(stage)
    const httpPort = await findFreePort()
    const supervisor = createSupervisor({ home })
    late.set(stage.name, { supervisor, url: `http://127.0.0.1:${httpPort}` })
    const ready = supervisor.add({
      name: subject.name,
      argv: [process.execPath, '--import', preload, resolve(repositoryDir, subject.main)],
      env: makeProcessEnv(subject, {
        ...run,
        home,
        kafka: brokers,
        postgres,
        secrets,
        httpPort,
        stageKey,
      }),
      cwd: repositoryDir,
      readyUrl: `http://127.0.0.1:${httpPort}/readyz`,
    })
    renewGuard()
    if (isAwaited) await ready
    else ready.catch(quiet)
  }

  const isReady = async (name: string): Promise<boolean> => {
    const url = urlOf(name)
    if (url === '') return pids()[name] !== undefined
    const response = await fetch(`${url}/readyz`, { signal: AbortSignal.timeout(2_000) })
    await response.body?.cancel()
    return response.ok
  }

  return {
    home,
    run,
    api,
    operator,
    kafka,
    topics,
    async tenant(name, quotas) {
      const unique = `${name}-${Math.random().toString(36).slice(2, 10)}`
      const { id, adminKey } = await operator.call<{ id: string; adminKey: string }>(
        'POST',
        '/v1/tenants',
        { body: { name: unique, ...(quotas && { quotas }) } },
      )
      tenants.push(id)
      return { id, name: unique, client: createClient(api, adminKey) }
    },
    clientAt: (name, client) => createClient(urlOf(name), client.key),
    pid: (name) => pids()[name] ?? late.get(name)?.supervisor.pids()[name],
    async metrics(name) {
      const url = `${late.get(name)?.url ?? urlOf(name)}/metrics`
      const response = await fetch(url, { signal: AbortSignal.timeout(READ_MS) })
      return parseSamples(await response.text())
    },
    async kill(name, signal = 'SIGKILL') {
      const before = await until(`${name} to be up`, () => pids()[name], RESTART_MS)
      process.kill(before, signal)
      await until(
        `${name} to be started again`,
        () => pids()[name] !== undefined && pids()[name] !== before,
        RESTART_MS,
      )
      renewGuard()
      await until(`${name} to be ready again`, () => isReady(name), RESTART_MS)
    },
    async register(stage) {
      await register(stage)
    },
    start: (stage) => start(stage, true),
    startUnready: (stage) => start(stage, false),
    async stopStage(name) {
      await late.get(name)?.supervisor.stopAll(STOP_GRACE_MS)
      late.delete(name)
    },
    async read(topic) {
      const records: KafkaRecord[] = []
      const reader = createReader({
        kafka,
        topics: [topic],
        from: 'earliest',
        onRecords: (_topic, _partition, read) => {
          // A record's value is a view into the whole response.
          for (const record of read) {
            records.push({
              ...record,
              value: record.value === null ? null : Buffer.from(record.value),
            })
          }
        },
      })
      const timer = setTimeout(() => void reader.stop(), READ_MS)
      try {
        await reader.caughtUp
      } finally {
        clearTimeout(timer)
        await reader.stop()
      }
      return records
    },
    query(tenant, text, values = []) {
      return asTenant(asControl(), tenant).query({ text, values: [...values] })
    },
    log: (name) => parseLines(readFileSync(join(home, 'logs', `${name}.log`), 'utf8')),
    file: (name) => join(home, name),
    async stop() {
      const logs = [INSTALLATION, ...tenants]
      const checked = await Promise.allSettled(logs.map((id) => checkLogs(asControl(), id)))
      await stop()
      for (const one of checked) if (one.status === 'rejected') throw one.reason
    },
  }
}

function parseLines(text: string): Record<string, unknown>[] {
  return text.split('\n').flatMap((line) => {
    try {
      return line.startsWith('{') ? [JSON.parse(line) as Record<string, unknown>] : []
    } catch {
      return []
    }
  })
}

/** Without the labels that all samples of a process have; the others in the order of their names. */
function parseSamples(text: string): Map<string, number> {
  return new Map(
    text.split('\n').flatMap((line): [string, number][] => {
      const [, name, labels = '', value] = /^(\w+)(?:\{(.*)\})? (\S+)$/.exec(line) ?? []
      if (name === undefined) return []
      const own = labels
        .split(',')
        .filter((label) => label !== '' && !/^service=/.test(label))
        .sort()
      return [[own.length === 0 ? name : `${name}{${own.join(',')}}`, Number(value)]]
    }),
  )
}
