import { randomBytes } from 'node:crypto'
import { existsSync, readFileSync } from 'node:fs'
import {
  chmod,
  chown,
  lstat,
  mkdir,
  mkdtemp,
  realpath,
  rename,
  rm,
  stat,
  symlink,
  writeFile,
} from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import { baseEnv } from './base-env.ts'
import { runCommand } from './command.ts'
import { LauncherError } from './errors.ts'
import { findFreePort } from './ports.ts'
import { type Account, canReach, chooseAccount } from './postgres-account.ts'
import { findPostgresBinaries, sharedDir } from './postgres-binaries.ts'
import type { ProcessSpec } from './process-spec.ts'
import { ensureSecret, readSecret } from './secrets.ts'
import { createSupervisor } from './supervisor.ts'

const passwordName = 'postgres-superuser'
const initTimeoutMs = 120_000
const readyTimeoutMs = 60_000
const stopGraceMs = 15_000

export type PostgresOptions = {
  readonly home: string
  readonly port?: number
  /** Told about long steps; standard error when not given. */
  readonly progress?: (line: string) => void
}

export type PreparedPostgres = {
  readonly url: string
  readonly version: string
  readonly spec: ProcessSpec
}

export type LocalPostgres = {
  /** Connection URL of the superuser. */
  readonly url: string
  /** Undefined when the server is not ours. */
  readonly pid: number | undefined
  readonly version: string | undefined
  stop(): Promise<void>
}

/** Makes a data folder on first use and says how to run the server on it. */
export async function preparePostgres(options: PostgresOptions): Promise<PreparedPostgres> {
  const progress = options.progress ?? reportProgress
  const home = resolve(options.home)
  const account = chooseAccount()
  const binDir = await findPostgresBinaries(account)
  const version = await readVersion(binDir, account)
  const serverDir = await provideServerDir(home, account, progress)
  const dataDir = join(serverDir, 'data')
  await ensureData({ home, serverDir, dataDir, binDir, account, version, progress })

  const port = options.port ?? (await findFreePort())
  const settings = {
    listen_addresses: '127.0.0.1',
    port,
    unix_socket_directories: '',
    shared_buffers: '128MB',
    max_connections: 80,
    autovacuum: 'on',
    fsync: 'on',
    synchronous_commit: 'on',
  }
  const flags = Object.entries(settings).flatMap(([key, value]) => ['-c', `${key}=${value}`])
  const password = readSecret(home, passwordName)
  return {
    url: `postgres://postgres:${password}@127.0.0.1:${port}/postgres`,
    version,
    spec: {
      name: 'postgres',
      argv: [join(binDir, 'postgres'), '-D', dataDir, ...flags],
      env: baseEnv(),
      cwd: dataDir,
      ...account,
      isReady: async (pid) => isServerReady(dataDir, pid),
      readyTimeoutMs,
      // Fast shutdown: SIGTERM would wait until every client has gone.
      stopSignal: 'SIGINT',
      tier: 0,
    },
  }
}

/** Starts a server, or takes the one named by WEIR_POSTGRES_URL; resolves when it takes clients. */
export async function startLocalPostgres(options: PostgresOptions): Promise<LocalPostgres> {
  const given = process.env.WEIR_POSTGRES_URL
  if (given) return { url: given, pid: undefined, version: undefined, stop: async () => {} }
  const { url, version, spec } = await preparePostgres(options)
  const supervisor = createSupervisor({ home: resolve(options.home) })
  const stop = (): Promise<void> => supervisor.stopAll(stopGraceMs)
  try {
    await supervisor.add({ ...spec, restart: false })
  } catch (error) {
    await stop()
    throw error
  }
  return { url, pid: supervisor.pids().postgres, version, stop }
}

async function readVersion(binDir: string, account: Account | undefined): Promise<string> {
  const answer = await runCommand([join(binDir, 'postgres'), '--version'], {
    ...account,
    cwd: '/',
    env: baseEnv(),
    timeoutMs: 30_000,
  })
  const version = /\d+(?:\.\d+)?/.exec(answer.output)?.[0]
  if (answer.code === 0 && version) return version
  throw new LauncherError(
    'postgres_unusable',
    `The PostgreSQL in ${binDir} does not run here:\n${answer.output}`,
  )
}

/**
 * `<home>/postgres`. Run by root with a home that the unprivileged account cannot reach, it is a
 * link to a folder that the account can reach.
 */
async function provideServerDir(
  home: string,
  account: Account | undefined,
  progress: (line: string) => void,
): Promise<string> {
  const serverDir = join(home, 'postgres')
  await mkdir(home, { recursive: true })
  const known = await lstat(serverDir).catch(() => undefined)
  if (known?.isSymbolicLink() && existsSync(serverDir)) return realpath(serverDir)
  if (!account || (await letThrough(account, home))) {
    await mkdir(serverDir, { recursive: true, mode: 0o700 })
    if (account) await chown(serverDir, account.uid, account.gid)
    return serverDir
  }
  await mkdir(sharedDir, { recursive: true, mode: 0o755 })
  const elsewhere = await mkdtemp(join(sharedDir, 'data-'))
  await chown(elsewhere, account.uid, account.gid)
  await rm(serverDir, { force: true, recursive: true })
  await symlink(elsewhere, serverDir)
  progress(
    `PostgreSQL runs as uid ${account.uid}, which cannot reach ${home}: data in ${elsewhere}`,
  )
  return elsewhere
}

/** Whether the account can get through the home, which is made passable, not readable, if need be. */
async function letThrough(account: Account, home: string): Promise<boolean> {
  if (await canReach(account, home)) return true
  // Above the home nothing is ours to change.
  if (!(await canReach(account, dirname(home)))) return false
  await chmod(home, (await stat(home)).mode | 0o011)
  return canReach(account, home)
}

type DataOptions = {
  readonly home: string
  readonly serverDir: string
  readonly dataDir: string
  readonly binDir: string
  readonly account: Account | undefined
  readonly version: string
  readonly progress: (line: string) => void
}

async function ensureData(options: DataOptions): Promise<void> {
  const { home, dataDir, version } = options
  if (!existsSync(dataDir)) {
    options.progress('making the data folder of PostgreSQL')
    return initData(options)
  }
  const dataVersion = readFileSync(join(dataDir, 'PG_VERSION'), 'utf8').trim()
  if (dataVersion !== version.split('.')[0]) {
    throw new LauncherError(
      'postgres_unusable',
      `${dataDir} holds data of PostgreSQL ${dataVersion}, the programs are ${version}. ` +
        `Use programs of that version (PG_BIN), or remove ${home} to start afresh.`,
    )
  }
  if (!readSecret(home, passwordName)) {
    throw new LauncherError(
      'postgres_unusable',
      `The password of ${dataDir} is missing in ${home}/secrets: remove ${home} to start afresh.`,
    )
  }
}

async function initData(options: DataOptions): Promise<void> {
  const { home, serverDir, dataDir, binDir, account, version } = options
  const password = ensureSecret(home, passwordName, () => randomBytes(24).toString('base64url'))
  const passwordFile = join(serverDir, 'initdb-password')
  // Made beside and renamed: data that exists is complete, wherever an earlier start was cut off.
  const partDir = `${dataDir}.part`
  await rm(partDir, { recursive: true, force: true })
  await writeFile(passwordFile, password, { mode: 0o600 })
  if (account) await chown(passwordFile, account.uid, account.gid)
  const locale =
    Number.parseInt(version, 10) >= 17
      ? ['--locale-provider=builtin', '--builtin-locale=C.UTF-8', '--locale=C']
      : ['--locale=C.UTF-8']
  const auth = ['--auth-host=scram-sha-256', '--auth-local=reject', `--pwfile=${passwordFile}`]
  try {
    const result = await runCommand(
      [join(binDir, 'initdb'), '-D', partDir, '-U', 'postgres', '-E', 'UTF8', ...auth, ...locale],
      { ...account, cwd: serverDir, env: baseEnv(), timeoutMs: initTimeoutMs },
    )
    if (result.code !== 0)
      throw new LauncherError('postgres_unusable', `initdb failed:\n${result.output}`)
    await rename(partDir, dataDir)
  } finally {
    await rm(passwordFile, { force: true })
  }
}

/** postmaster.pid of a crashed server still says ready: the pid tells whose it is. */
function isServerReady(dataDir: string, pid: number): boolean {
  const lines = readFileSync(join(dataDir, 'postmaster.pid'), 'utf8').split('\n')
  return Number(lines[0]) === pid && lines[7]?.trim() === 'ready'
}

function reportProgress(line: string): void {
  process.stderr.write(`weir: ${line}\n`)
}
