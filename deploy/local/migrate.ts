import { join } from 'node:path'
import { baseEnv } from './base-env.ts'
import { runCommand } from './command.ts'
import { LauncherError } from './errors.ts'
import { databaseRoles, type InstallationSecrets } from './installation-secrets.ts'
import { inheritSettings } from './process-env.ts'
import { repositoryDir } from './repository.ts'

const migrateTimeoutMs = 120_000

/** Brings the database up to date and gives every role its password. */
export async function migrate(adminUrl: string, secrets: InstallationSecrets): Promise<void> {
  const env: Record<string, string> = {
    ...baseEnv(),
    ...inheritSettings(true),
    WEIR_POSTGRES_ADMIN_URL: adminUrl,
  }
  for (const role of databaseRoles)
    env[`WEIR_${role.toUpperCase()}_DB_PASSWORD`] = secrets.passwords[role]
  const main = join(repositoryDir, 'deploy', 'migrate.ts')
  const result = await runCommand([process.execPath, main], {
    cwd: repositoryDir,
    env,
    timeoutMs: migrateTimeoutMs,
  })
  if (result.code !== 0)
    throw new LauncherError('migration_failed', `The migrations failed:\n${result.output}`)
}
