/**
 * Makes roles and database where WEIR_POSTGRES_ADMIN_URL names who may, then runs the migrations as
 * weir_migrator: in the admin's server, or without an admin at WEIR_POSTGRES_URL.
 */
import { resolve } from 'node:path'
import { bootstrap, LOGIN_ROLES, type LoginRole, migrate, withDatabase } from '@weir/postgres'
import {
  ConfigError,
  optional,
  postgresSettings,
  readConfig,
  secret,
  text,
  toPostgresConnection,
} from '@weir/runtime'

const settings = {
  ...postgresSettings,
  postgresUrl: optional(postgresSettings.postgresUrl),
  adminUrl: optional(secret('WEIR_POSTGRES_ADMIN_URL')),
  database: text('WEIR_DATABASE', { default: 'weir' }),
  migrations: text('WEIR_MIGRATIONS', {
    default: resolve(import.meta.dirname, '../migrations'),
  }),
} as const

const passwordSettings = Object.fromEntries(
  Object.entries(LOGIN_ROLES).map(([role, variable]) => [role, optional(secret(variable))]),
)

async function main(): Promise<void> {
  const config = readConfig(settings)
  const given = Object.entries(readConfig(passwordSettings)).filter(([, password]) => password)
  const passwords = Object.fromEntries(given) as Partial<Record<LoginRole, string>>
  const connect = (postgresUrl: string, variable: string) =>
    toPostgresConnection({ ...config, postgresUrl }, variable)

  const admin =
    config.adminUrl === undefined ? undefined : connect(config.adminUrl, 'WEIR_POSTGRES_ADMIN_URL')
  if (admin !== undefined) {
    const { url: adminUrl, ...tls } = admin
    const { isHardened } = await bootstrap({
      adminUrl,
      ...tls,
      database: config.database,
      passwords,
    })
    if (!isHardened)
      console.log(
        'the admin is no superuser: functions such as set_config stay callable for every role, ' +
          'and the services need WEIR_POSTGRES_MANAGED=true',
      )
  }
  if (admin === undefined && config.postgresUrl === undefined)
    throw new ConfigError(['WEIR_POSTGRES_ADMIN_URL or WEIR_POSTGRES_URL must be set (or _FILE)'])
  const migrator =
    admin === undefined
      ? connect(config.postgresUrl ?? '', 'WEIR_POSTGRES_URL')
      : { ...admin, url: toMigratorUrl(admin.url, config.database, passwords.weir_migrator) }
  await migrate({
    ...migrator,
    directory: config.migrations,
    onApplied: (name, ms) => console.log(`applied ${name} in ${Math.round(ms)} ms`),
  })
}

function toMigratorUrl(adminUrl: string, database: string, password: string | undefined): string {
  if (password === undefined)
    throw new ConfigError(['WEIR_MIGRATOR_DB_PASSWORD must be set beside WEIR_POSTGRES_ADMIN_URL'])
  const own = new URL(withDatabase(adminUrl, database))
  own.username = 'weir_migrator'
  own.password = encodeURIComponent(password)
  return own.href
}

try {
  await main()
} catch (error) {
  for (let cause: unknown = error; cause instanceof Error; cause = cause.cause) {
    console.error(`weir migrate: ${cause.message}`)
  }
  process.exitCode = 1
}
