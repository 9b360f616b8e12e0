import { fileURLToPath } from 'node:url'
import { bootstrap, withDatabase } from './bootstrap.ts'
import { migrate } from './migrate.ts'
import { LOGIN_ROLES, type LoginRole } from './roles.ts'

// Makes roles and database (with WEIR_POSTGRES_ADMIN_URL), then runs the migrations as
// weir_migrator: at WEIR_POSTGRES_URL, or where that is not set in the admin's server.

const env = (name: string): string | undefined => process.env[name] || undefined

async function main(): Promise<void> {
  const database = env('WEIR_DATABASE') ?? 'weir'
  const adminUrl = env('WEIR_POSTGRES_ADMIN_URL')
  const passwords: Partial<Record<LoginRole, string>> = {}
  for (const [role, variable] of Object.entries(LOGIN_ROLES)) {
    const password = env(variable)
    if (password !== undefined) passwords[role as LoginRole] = password
  }
  if (adminUrl !== undefined) await bootstrap({ adminUrl, database, passwords })
  await migrate({
    url: migratorUrl(adminUrl, database, passwords.weir_migrator),
    directory:
      env('WEIR_MIGRATIONS') ?? fileURLToPath(new URL('../../../migrations', import.meta.url)),
    onApplied: (name, ms) => console.log(`applied ${name} in ${Math.round(ms)} ms`),
  })
}

function migratorUrl(
  adminUrl: string | undefined,
  database: string,
  password: string | undefined,
): string {
  const url = env('WEIR_POSTGRES_URL')
  if (adminUrl === undefined) {
    if (url === undefined) throw new Error('set WEIR_POSTGRES_ADMIN_URL or WEIR_POSTGRES_URL')
    return url
  }
  if (password === undefined) {
    throw new Error('set WEIR_MIGRATOR_DB_PASSWORD beside WEIR_POSTGRES_ADMIN_URL')
  }
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
