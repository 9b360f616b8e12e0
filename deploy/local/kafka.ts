import { randomBytes } from 'node:crypto'
import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { baseEnv } from './base-env.ts'
import { runCommand } from './command.ts'
import { LauncherError } from './errors.ts'
import { findJava } from './java.ts'
import { writeKafkaConfig } from './kafka-config.ts'
import { provideKafkaJars } from './kafka-jars.ts'
import { isKafkaReady } from './kafka-ready.ts'
import { findFreePort } from './ports.ts'
import type { ProcessSpec } from './process-spec.ts'
import { createSupervisor } from './supervisor.ts'

const log4jPath = join(import.meta.dirname, 'kafka', 'log4j2.properties')
const formatTimeoutMs = 60_000
const readyTimeoutMs = 60_000
const stopGraceMs = 20_000

export type KafkaOptions = {
  readonly home: string
  readonly port?: number
  readonly controllerPort?: number
  /** Told about long steps; standard error when not given. */
  readonly progress?: (line: string) => void
  /** Settings of the broker beside, or instead of, those of server.properties. */
  readonly settings?: Readonly<Record<string, string>>
  /** More options of the first format, for example the first user. */
  readonly formatOptions?: readonly string[]
}

export type PreparedKafka = { readonly brokers: string; readonly spec: ProcessSpec }

export type LocalKafka = {
  /** `host:port`, or the given brokers, as the client takes them. */
  readonly brokers: string
  /** Undefined when the broker is not ours. */
  readonly pid: number | undefined
  stop(): Promise<void>
}

/** Makes everything a broker needs, formats its storage on first use, and says how to run it. */
export async function prepareKafka(options: KafkaOptions): Promise<PreparedKafka> {
  const progress = options.progress ?? reportProgress
  const java = await findJava()
  const jarsDir = await provideKafkaJars(progress)
  const kafkaDir = resolve(options.home, 'kafka')
  const dataDir = join(kafkaDir, 'data')
  const configPath = join(kafkaDir, 'server.properties')
  const port = options.port ?? (await findFreePort())
  const controllerPort = options.controllerPort ?? (await findFreePort())
  mkdirSync(dataDir, { recursive: true })
  const { settings = {}, formatOptions = [] } = options
  writeFileSync(configPath, writeKafkaConfig({ port, controllerPort, dataDir, settings }))

  const jvm = [
    java,
    '-cp',
    join(jarsDir, '*'),
    `-Dlog4j2.configurationFile=${log4jPath}`,
    '-Djava.awt.headless=true',
    '-XX:TieredStopAtLevel=1',
    '-XX:+UseSerialGC',
  ] as const
  if (!existsSync(join(dataDir, 'meta.properties'))) {
    progress('formatting the storage of Kafka')
    await formatStorage([...jvm], [configPath, ...formatOptions], kafkaDir)
  }
  return {
    brokers: `127.0.0.1:${port}`,
    spec: {
      name: 'kafka',
      argv: [
        ...jvm,
        '-Xms512m',
        '-Xmx512m',
        '-XX:+ExitOnOutOfMemoryError',
        'kafka.Kafka',
        configPath,
      ],
      env: baseEnv(),
      cwd: kafkaDir,
      isReady: () => isKafkaReady(port),
      readyTimeoutMs,
      tier: 0,
    },
  }
}

/** Starts a broker, or takes the one named by WEIR_KAFKA_BROKERS; resolves when it answers. */
export async function startLocalKafka(options: KafkaOptions): Promise<LocalKafka> {
  const given = process.env.WEIR_KAFKA_BROKERS
  if (given) return { brokers: given, pid: undefined, stop: async () => {} }
  const { brokers, spec } = await prepareKafka(options)
  const supervisor = createSupervisor({ home: resolve(options.home) })
  const stop = (): Promise<void> => supervisor.stopAll(stopGraceMs)
  try {
    await supervisor.add({ ...spec, restart: false })
  } catch (error) {
    await stop()
    throw error
  }
  return { brokers, pid: supervisor.pids().kafka, stop }
}

async function formatStorage(
  jvm: [string, ...string[]],
  target: readonly string[],
  cwd: string,
): Promise<void> {
  // A format that was interrupted before it wrote meta.properties is simply done again.
  const format = ['kafka.tools.StorageTool', 'format', '--ignore-formatted'] as const
  const cluster = ['--cluster-id', makeClusterId(), '-c'] as const
  const result = await runCommand([...jvm, ...format, ...cluster, ...target], {
    cwd,
    env: baseEnv(),
    timeoutMs: formatTimeoutMs,
  })
  if (result.code === 0) return
  throw new LauncherError('not_ready', `Kafka's storage could not be formatted:\n${result.output}`)
}

/** A random UUID as Kafka writes it; never with a leading hyphen, which reads like an option. */
function makeClusterId(): string {
  for (;;) {
    const id = randomBytes(16).toString('base64url')
    if (!id.startsWith('-')) return id
  }
}

function reportProgress(line: string): void {
  process.stderr.write(`weir: ${line}\n`)
}
