/**
 * Makes the secrets of an installation on first use, keeps them in the vault, and hands each process
 * what it needs and no more. Run again it changes nothing.
 */

import { randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { ensureInstallationSecrets } from '../local/installation-secrets.ts'
import { ensureSecret } from '../local/secrets.ts'
import { handOut, vaultDir } from './hand-out.ts'

const server = process.env.WEIR_POSTGRES_HOST || 'postgres:5432'
const { files, operatorKey, passwords } = ensureInstallationSecrets(vaultDir)
const superuser = ensureSecret(vaultDir, 'postgres-superuser', () =>
  randomBytes(32).toString('base64url'),
)
const read = (file: string) => readFileSync(file, 'utf8').trim()
const postgresUrl = (login: string, password: string, database: string) =>
  `postgres://${login}:${password}@${server}/${database}`

handOut('postgres', 'password', superuser)
for (const role of ['control', 'dispatcher', 'ledger'] as const)
  handOut(role, 'postgres-url', postgresUrl(`weir_${role}`, passwords[role], 'weir'))
handOut('control', 'operator-key', operatorKey)
handOut('control', 'master-key', read(files.masterKey))
handOut('dispatcher', 'master-key', read(files.masterKey))
handOut('ledger', 'ledger-key', read(files.ledgerKey))
handOut('migrate', 'postgres-admin-url', postgresUrl('postgres', superuser, 'postgres'))
for (const [role, password] of Object.entries(passwords))
  handOut('migrate', `database-${role}`, password)
