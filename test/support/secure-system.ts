import { spawnSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { LOGIN_ROLES } from '@weir/postgres'
import { baseEnv } from '../../deploy/local/base-env.ts'
import {
  ensureInstallationSecrets,
  type InstallationSecrets,
} from '../../deploy/local/installation-secrets.ts'
import { findFreePort } from '../../deploy/local/ports.ts'
import { platformProcesses } from '../../deploy/local/processes.ts'
import { registerStage } from '../../deploy/local/register-stage.ts'
import { repositoryDir } from '../../deploy/local/repository.ts'
import { createSupervisor } from '../../deploy/local/supervisor.ts'
import { type Client, createClient } from './api-client.ts'
import { type Authority, createAuthority } from './certificates.ts'
import { type SecureKafka, startSecureKafka } from './secure-kafka.ts'
import { type SecurePostgres, startSecurePostgres } from './secure-postgres.ts'

export type SecureSystem = {
  readonly home: string
  readonly authority: Authority
  readonly kafka: SecureKafka
  readonly postgres: SecurePostgres
  readonly operator: Client
  readonly api: string
  /** The whole environment of a process: its own login at the brokers and in the database. */
  env(name: string, more?: Readonly<Record<string, string>>): Record<string, string>
  /** Runs a program of the repository to its end. */
  run(file: string, args: readonly string[], env: Readonly<Record<string, string>>): Ran
  /** Ends the processes of Weir; brokers and database stay. */
  stopProcesses(): Promise<void>
  stop(): Promise<void>
}

export type Ran = { readonly status: number | null; readonly out: string; readonly err: string }

export type FoundDatabase = {
  readonly home: string
  readonly authority: Authority
  readonly postgres: SecurePostgres
  /** Password by role. */
  readonly logins: Readonly<Record<string, string>>
}

export type SecureSystemOptions = {
  /** Stages by name; each has the principal `weir-stage-<name>-1`. */
  readonly stages: readonly string[]
  /** What `deploy/kafka/acls.ts` is told of them. */
  readonly edges: readonly string[]
  /** Where the processes find the database, instead of at its own port. */
  readonly databasePort?: (found: FoundDatabase) => Promise<number>
  /** Settings of those that work with the database. */
  readonly databaseEnv?: Readonly<Record<string, string>>
}

const STOP_MS = 15_000
const RUN_MS = 240_000
const READY_MS = 300_000
const preload = ['--import', '@weir/runtime/telemetry'] as const
const principalOf = (name: string, isStage: boolean) => `weir-${isStage ? `stage-${name}-1` : name}`

/**
 * An installation on a broker with TLS, users and ACLs and a Postgres with TLS: every process is a
 * user of its own who may do what the table of ACLs says and nothing else.
 */
export async function startSecureSystem(options: SecureSystemOptions): Promise<SecureSystem> {
  const home = mkdtempSync(join(tmpdir(), 'weir-managed-'))
  const authority = createAuthority('the authority of the installation')
  const platform = platformProcesses.filter(({ stage }) => stage === undefined)
  const subjects = [
    ...platform,
    ...platformProcesses.filter(({ name }) => options.stages.includes(name)),
  ]
  const file = (name: string, content: string): string => {
    const path = join(home, 'files', name)
    mkdirSync(join(home, 'files'), { recursive: true })
    writeFileSync(path, content, { mode: 0o600 })
    return path
  }
  const caFile = file('ca.pem', authority.ca)
  const users: Record<string, string> = { operator: randomBytes(16).toString('hex') }
  for (const { name, stage } of subjects)
    users[principalOf(name, stage !== undefined)] = randomBytes(16).toString('hex')

  const stops: (() => Promise<void>)[] = []
  const stop = async () => {
    for (const one of stops.reverse()) await one()
    rmSync(home, { recursive: true, force: true })
  }
  const started = async <T extends { stop(): Promise<void> }>(start: Promise<T>): Promise<T> => {
    const one = await start
    stops.push(one.stop)
    return one
  }

  const kafkaEnv = (user: string) => ({
    WEIR_KAFKA_BROKERS: kafka.brokers,
    WEIR_KAFKA_TLS_CA_FILE: caFile,
    WEIR_KAFKA_SASL_MECHANISM: 'scram-sha-512',
    WEIR_KAFKA_SASL_USERNAME: user,
    WEIR_KAFKA_SASL_PASSWORD_FILE: file(`${user}.password`, `${users[user]}\n`),
  })
  const run = (program: string, args: readonly string[], env: Readonly<Record<string, string>>) => {
    const { status, stdout, stderr } = spawnSync(
      process.execPath,
      [resolve(repositoryDir, program), ...args],
      { env: { ...baseEnv(), ...env }, encoding: 'utf8', timeout: RUN_MS },
    )
    return { status, out: stdout, err: stderr }
  }
  const mustRun = (...args: Parameters<typeof run>): Ran => {
    const ran = run(...args)
    if (ran.status !== 0)
      throw new Error(`${args[0]} ended with ${ran.status}: ${ran.err}${ran.out}`)
    return ran
  }

  let kafka: SecureKafka
  let postgres: SecurePostgres
  let secrets: InstallationSecrets
  let databasePort: number

  const databaseEnvOf = (role: keyof InstallationSecrets['passwords']) => {
    const url = new URL(`postgres://localhost:${databasePort}/weir?sslmode=verify-full`)
    url.username = `weir_${role}`
    url.password = secrets.passwords[role]
    return {
      WEIR_POSTGRES_URL_FILE: file(`${role}.postgres-url`, url.href),
      WEIR_POSTGRES_TLS_CA_FILE: caFile,
      ...options.databaseEnv,
    }
  }

  try {
    const [broker, server] = await Promise.allSettled([
      started(startSecureKafka({ home: join(home, 'broker'), authority, users })),
      started(startSecurePostgres({ home: join(home, 'database'), authority })),
    ])
    if (broker.status === 'rejected') throw broker.reason
    if (server.status === 'rejected') throw server.reason
    kafka = broker.value
    postgres = server.value
    secrets = ensureInstallationSecrets(home)
    const logins = Object.fromEntries(
      Object.entries(secrets.passwords).map(([role, password]) => [`weir_${role}`, password]),
    )
    const found = { home, authority, postgres, logins }
    databasePort = (await options.databasePort?.(found)) ?? postgres.port

    mustRun('deploy/migrate.ts', [], {
      WEIR_POSTGRES_ADMIN_URL_FILE: file('admin-url', postgres.adminUrl),
      WEIR_POSTGRES_TLS_CA_FILE: caFile,
      ...Object.fromEntries(
        Object.entries(LOGIN_ROLES).map(([role, variable]) => [
          variable,
          secrets.passwords[role.slice('weir_'.length) as keyof typeof secrets.passwords],
        ]),
      ),
    })
    mustRun('deploy/kafka/acls.ts', ['--apply', ...options.edges], kafkaEnv('operator'))
  } catch (error) {
    await stop()
    throw error
  }

  const env = (name: string, more: Readonly<Record<string, string>> = {}) => {
    const subject = subjects.find((one) => one.name === name)
    if (subject === undefined) throw new Error(`no process is called ${name}`)
    const { databaseRole, stage, secrets: wanted = [] } = subject
    return {
      ...baseEnv(),
      ...kafkaEnv(principalOf(name, stage !== undefined)),
      ...(databaseRole && databaseEnvOf(databaseRole)),
      ...(wanted.includes('masterKey') && { WEIR_MASTER_KEY_FILE: secrets.files.masterKey }),
      ...(wanted.includes('operatorKey') && { WEIR_OPERATOR_KEY_FILE: secrets.files.operatorKey }),
      ...(wanted.includes('ledgerKey') && { WEIR_LEDGER_KEY_FILE: secrets.files.ledgerKey }),
      WEIR_LOG_LEVEL: 'info',
      WEIR_SERVICE_NAME: name,
      ...more,
    }
  }

  const supervisor = createSupervisor({ home })
  let haveEnded: Promise<void> | undefined
  const stopProcesses = () => {
    haveEnded ??= supervisor.stopAll(STOP_MS)
    return haveEnded
  }
  stops.push(stopProcesses)
  const apiPort = await findFreePort()
  const api = `http://127.0.0.1:${apiPort}`

  try {
    for (const tier of [...new Set(subjects.map((one) => one.tier))].sort((a, b) => a - b)) {
      const members = subjects.filter((one) => one.tier === tier)
      await Promise.all(
        members.map(async ({ name, main, stage, isApi }) => {
          const port = isApi ? apiPort : await findFreePort()
          const stageKey =
            stage && (await registerStage({ home, api, operatorKey: secrets.operatorKey, stage }))
          await supervisor.add({
            name,
            argv: [process.execPath, ...preload, resolve(repositoryDir, main)],
            env: env(name, {
              WEIR_HTTP_PORT: String(port),
              ...(stageKey && { WEIR_STAGE_KEY: stageKey }),
            }),
            cwd: repositoryDir,
            readyTimeoutMs: READY_MS,
            readyUrl: `http://127.0.0.1:${port}/readyz`,
          })
        }),
      )
    }
  } catch (error) {
    const logs = subjects.map(({ name }) => `${name}: ${tail(join(home, 'logs', `${name}.log`))}`)
    await stop()
    throw new Error(`the system did not start\n${logs.join('\n')}`, { cause: error })
  }
  return {
    home,
    authority,
    kafka,
    postgres,
    api,
    operator: createClient(api, secrets.operatorKey),
    env,
    run,
    stopProcesses,
    stop,
  }
}

function tail(path: string): string {
  try {
    return readFileSync(path, 'utf8').slice(-1_500)
  } catch {
    return '(no log)'
  }
}
