import { chownSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { findFreePort } from '../../deploy/local/ports.ts'
import { preparePostgres } from '../../deploy/local/postgres.ts'
import { createSupervisor } from '../../deploy/local/supervisor.ts'
import type { Authority } from './certificates.ts'

export type SecurePostgres = {
  /** Address of the superuser, by the name in the server's certificate. */
  readonly adminUrl: string
  readonly port: number
  stop(): Promise<void>
}

const STOP_MS = 15_000
const READY_MS = 300_000
const HBA = ['127.0.0.1/32', '::1/128']
  .map((network) => `hostssl all all ${network} scram-sha-256\n`)
  .join('')

/** A server as a managed one is: TLS for everyone, passwords by SCRAM, no other way in. */
export async function startSecurePostgres(options: {
  readonly home: string
  readonly authority: Authority
}): Promise<SecurePostgres> {
  const { home, authority } = options
  const port = await findFreePort()
  const { spec, url } = await preparePostgres({ home, port, progress: () => {} })
  const { cert, key } = authority.issue('postgres', ['localhost', '127.0.0.1'])
  const write = (name: string, content: string) => {
    const path = join(spec.cwd, name)
    writeFileSync(path, content, { mode: 0o600 })
    if (spec.uid !== undefined) chownSync(path, spec.uid, spec.gid ?? spec.uid)
  }
  write('server.crt', cert)
  write('server.key', key)
  write('pg_hba.conf', HBA)
  const supervisor = createSupervisor({ home })
  const stop = () => supervisor.stopAll(STOP_MS)
  const [program, ...flags] = spec.argv
  try {
    await supervisor.add({
      ...spec,
      argv: [program, ...flags, '-c', 'ssl=on', '-c', 'password_encryption=scram-sha-256'],
      readyTimeoutMs: READY_MS,
      restart: false,
    })
  } catch (error) {
    await stop()
    const log = readFileSync(join(home, 'logs', 'postgres.log'), 'utf8')
    throw new Error(`Postgres did not start: ${log.slice(-2_000)}`, { cause: error })
  }
  return { adminUrl: url.replace('127.0.0.1', 'localhost'), port, stop }
}
