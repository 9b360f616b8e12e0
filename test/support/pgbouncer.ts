import { spawnSync } from 'node:child_process'
import { chmodSync, chownSync, mkdirSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { join } from 'node:path'
import { baseEnv } from '../../deploy/local/base-env.ts'
import { findFreePort } from '../../deploy/local/ports.ts'
import { chooseAccount } from '../../deploy/local/postgres-account.ts'
import { createSupervisor } from '../../deploy/local/supervisor.ts'
import type { Authority } from './certificates.ts'

export type PgBouncer = { readonly port: number; stop(): Promise<void> }

/** The first that follows statements prepared by name from one server connection to another. */
const OLDEST = [1, 21]
const STOP_MS = 10_000
const READY_MS = 60_000

/**
 * Why a PgBouncer cannot be run here; undefined where it can. With REQUIRE_PGBOUNCER=1 that is a
 * failure.
 */
export function findMissingPgBouncer(): string | undefined {
  const missing = findMissing()
  if (missing !== undefined && process.env.REQUIRE_PGBOUNCER === '1')
    throw new Error(`REQUIRE_PGBOUNCER=1, but ${missing}`)
  return missing
}

function findMissing(): string | undefined {
  const answer = spawnSync('pgbouncer', ['--version'], { encoding: 'utf8' })
  if (answer.error !== undefined) return 'pgbouncer is not in PATH'
  const [, major, minor] = /PgBouncer (\d+)\.(\d+)/.exec(answer.stdout) ?? []
  const isOld = Number(major) === OLDEST[0] && Number(minor) < (OLDEST[1] as number)
  return isOld ? `PgBouncer ${major}.${minor} is older than ${OLDEST.join('.')}` : undefined
}

export type PgBouncerOptions = {
  readonly home: string
  readonly authority: Authority
  readonly serverPort: number
  /** Password by role. */
  readonly logins: Readonly<Record<string, string>>
}

/** A pooler in transaction mode, TLS on both sides, as docs/guides/managed.md has it. */
export async function startPgBouncer(options: PgBouncerOptions): Promise<PgBouncer> {
  const { home, authority, serverPort, logins } = options
  const account = chooseAccount()
  const port = await findFreePort()
  const folder = join(home, 'pgbouncer')
  mkdirSync(folder, { recursive: true, mode: 0o700 })
  // The account has to pass through it to its own.
  chmodSync(home, 0o711)
  const file = (name: string, content: string): string => {
    const path = join(folder, name)
    writeFileSync(path, content, { mode: 0o600 })
    if (account) chownSync(path, account.uid, account.gid)
    return path
  }
  if (account) chownSync(folder, account.uid, account.gid)
  const { cert, key } = authority.issue('pgbouncer', ['localhost'])
  const users = Object.entries(logins).map(([role, password]) => `"${role}" "${password}"`)
  const settings = {
    listen_addr: '127.0.0.1',
    listen_port: port,
    unix_socket_dir: '',
    auth_type: 'scram-sha-256',
    auth_file: file('users.txt', `${users.join('\n')}\n`),
    pool_mode: 'transaction',
    // Fewer than the services ask for: they have to share.
    default_pool_size: 3,
    max_prepared_statements: 200,
    ignore_startup_parameters: 'statement_timeout,lock_timeout,idle_in_transaction_session_timeout',
    client_tls_sslmode: 'require',
    client_tls_cert_file: file('server.crt', cert),
    client_tls_key_file: file('server.key', key),
    server_tls_sslmode: 'verify-full',
    server_tls_ca_file: file('ca.pem', authority.ca),
  }
  const lines = Object.entries(settings).map(([name, value]) => `${name} = ${value}`)
  // Its resolver may know localhost as ::1 first, where no server listens, and waits after each failure.
  const databases = `[databases]\nweir = host=127.0.0.1 port=${serverPort} dbname=weir\n`
  const config = file('pgbouncer.ini', `${databases}[pgbouncer]\n${lines.join('\n')}\n`)
  const supervisor = createSupervisor({ home })
  const stop = () => supervisor.stopAll(STOP_MS)
  try {
    await supervisor.add({
      name: 'pgbouncer',
      argv: ['pgbouncer', config],
      env: baseEnv(),
      cwd: folder,
      ...account,
      isReady: () => isListening(port),
      readyTimeoutMs: READY_MS,
      restart: false,
    })
  } catch (error) {
    await stop()
    throw error
  }
  return { port, stop }
}

function isListening(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host: '127.0.0.1', port })
    const answer = (is: boolean) => {
      socket.destroy()
      resolve(is)
    }
    socket.once('connect', () => answer(true))
    socket.once('error', () => answer(false))
  })
}
