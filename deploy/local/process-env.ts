import { join } from 'node:path'
import { baseEnv } from './base-env.ts'
import type { InstallationSecrets } from './installation-secrets.ts'
import type { PlatformProcess, SecretName } from './processes.ts'

/** The database that the migrations make and all roles work in. */
export const databaseName = 'weir'

export type ProcessEnvOptions = {
  readonly home: string
  readonly kafka: string
  /** Connection URL of the superuser. */
  readonly postgres: string
  readonly secrets: InstallationSecrets
  readonly httpPort: number
  readonly stageKey?: string
  /** Where spans go, and where they are shown. */
  readonly otlp?: string | undefined
  readonly jaeger?: string | undefined
}

const secretVariables: Record<SecretName, string> = {
  masterKey: 'WEIR_MASTER_KEY_FILE',
  operatorKey: 'WEIR_OPERATOR_KEY_FILE',
  ledgerKey: 'WEIR_LEDGER_KEY_FILE',
}

// Settings of the user's own shell reach every process, save what the launcher sets itself and
// whatever may be a credential; how to reach the user's own Kafka or Postgres is passed as a whole.
const launcherVariables =
  /^WEIR_(?:HOME|PORT|JAEGER_BIN|HTTP_|SUPERVISED_|TEST_|POSTGRES_(?:ADMIN_)?URL$)/
const credential = /KEY|PASSWORD|SECRET|TOKEN/

/** The whole environment of one process: a stage is given no database, a service only its own role. */
export function makeProcessEnv(
  subject: PlatformProcess,
  options: ProcessEnvOptions,
): Record<string, string> {
  const env: Record<string, string> = {
    // Where the user has none that all programs of the machine share.
    NODE_COMPILE_CACHE: join(options.home, 'cache', 'node'),
    ...baseEnv(),
    ...inheritSettings(subject.databaseRole !== undefined),
    WEIR_KAFKA_BROKERS: options.kafka,
    WEIR_SERVICE_NAME: subject.stage === undefined ? subject.name : `stage-${subject.name}`,
    WEIR_HTTP_HOST: '127.0.0.1',
    WEIR_HTTP_PORT: String(options.httpPort),
  }
  env.WEIR_PREFIX ??= 'weir'
  env.WEIR_LOG_LEVEL ??= 'info'
  if (options.otlp) env.WEIR_OTLP_URL = options.otlp
  if (options.jaeger) env.WEIR_JAEGER_URL = options.jaeger
  if (subject.databaseRole) {
    const password = options.secrets.passwords[subject.databaseRole]
    env.WEIR_POSTGRES_URL = writeRoleUrl(options.postgres, `weir_${subject.databaseRole}`, password)
  }
  for (const secret of subject.secrets ?? [])
    env[secretVariables[secret]] = options.secrets.files[secret]
  if (options.stageKey) env.WEIR_STAGE_KEY = options.stageKey
  return env
}

/** The same server, with another login, in Weir's database. */
export function writeRoleUrl(adminUrl: string, login: string, password: string): string {
  const url = new URL(adminUrl)
  url.username = login
  url.password = password
  url.pathname = `/${databaseName}`
  return url.href
}

/** What the user's shell says about connections and behaviour; Postgres' part only on demand. */
export function inheritSettings(withPostgres: boolean): Record<string, string> {
  const settings: Record<string, string> = {}
  for (const [name, value] of Object.entries(process.env)) {
    if (!value || !/^(?:WEIR|OTEL)_/.test(name) || launcherVariables.test(name)) continue
    const isPostgres = name.startsWith('WEIR_POSTGRES_')
    const isWanted = isPostgres
      ? withPostgres
      : name.startsWith('WEIR_KAFKA_') || !credential.test(name)
    if (isWanted) settings[name] = value
  }
  return settings
}
