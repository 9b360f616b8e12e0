import { createHash, createHmac, pbkdf2Sync, randomBytes } from 'node:crypto'

/** Roles that services log in as, with the variable that holds each one's password. */
export const LOGIN_ROLES = {
  weir_migrator: 'WEIR_MIGRATOR_DB_PASSWORD',
  weir_control: 'WEIR_CONTROL_DB_PASSWORD',
  weir_dispatcher: 'WEIR_DISPATCHER_DB_PASSWORD',
  weir_ledger: 'WEIR_LEDGER_DB_PASSWORD',
  weir_watchdog: 'WEIR_WATCHDOG_DB_PASSWORD',
} as const
export type LoginRole = keyof typeof LOGIN_ROLES

/** Roles of the services that run beside each other; the migrator is not one of them. */
export const SERVICE_ROLES = [
  'weir_control',
  'weir_dispatcher',
  'weir_ledger',
  'weir_watchdog',
] as const
export type ServiceRole = (typeof SERVICE_ROLES)[number]

/** Roles without a login: the owner of tables, and the owner of functions that services call. */
export const OWNER_ROLES = ['weir_owner', 'weir_definer'] as const

const iterations = 4096

/** What Postgres stores for a password (RFC 5803): made here, so that no server log ever sees it. */
export function scramVerifier(password: string, salt: Buffer = randomBytes(16)): string {
  const salted = pbkdf2Sync(password, salt, iterations, 32, 'sha256')
  const clientKey = createHmac('sha256', salted).update('Client Key').digest()
  const storedKey = createHash('sha256').update(clientKey).digest('base64')
  const serverKey = createHmac('sha256', salted).update('Server Key').digest('base64')
  return `SCRAM-SHA-256$${iterations}:${salt.toString('base64')}$${storedKey}:${serverKey}`
}
