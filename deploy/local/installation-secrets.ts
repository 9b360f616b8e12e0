import { randomBytes } from 'node:crypto'
import { deriveTicketKey, formatTicketKey } from '@weir/contracts'
import type { SecretName } from './processes.ts'
import { ensureSecret, readSecret, secretPath, writeSecret } from './secrets.ts'

/** The roles whose passwords the migrations set. */
export const databaseRoles = ['control', 'dispatcher', 'ledger', 'watchdog', 'migrator'] as const
export type AnyDatabaseRole = (typeof databaseRoles)[number]

export type InstallationSecrets = {
  readonly operatorKey: string
  /** Files that hold a secret each, for the processes that read it. */
  readonly files: Readonly<Record<SecretName, string>>
  readonly passwords: Readonly<Record<AnyDatabaseRole, string>>
}

// The one key id in use; a rotation would add another.
const keyId = 'k1'

/** The installation's secrets under `<home>/secrets`, each made on first use. */
export function ensureInstallationSecrets(home: string): InstallationSecrets {
  const random = (): string => randomBytes(32).toString('base64url')
  const master = ensureSecret(home, 'master-key', random)
  const operatorKey = ensureSecret(
    home,
    'operator-key',
    () => `weir_${randomBytes(8).toString('hex')}_${randomBytes(32).toString('hex')}`,
  )
  const ledgerKey = deriveTicketKey(Buffer.from(master, 'base64url'), 'ledger', keyId)
  ensureSecret(home, 'ledger-key', () => formatTicketKey(ledgerKey))
  const passwords = Object.fromEntries(
    databaseRoles.map((role) => [role, ensureSecret(home, `database-${role}`, random)]),
  ) as Record<AnyDatabaseRole, string>
  return {
    operatorKey,
    files: {
      masterKey: secretPath(home, 'master-key'),
      operatorKey: secretPath(home, 'operator-key'),
      ledgerKey: secretPath(home, 'ledger-key'),
    },
    passwords,
  }
}

/** The key a stage was given when it was registered by this launcher. */
export function readStageKey(home: string, ref: string): string | undefined {
  return readSecret(home, `stage-${ref}`)
}

export function writeStageKey(home: string, ref: string, key: string): void {
  writeSecret(home, `stage-${ref}`, key)
}
