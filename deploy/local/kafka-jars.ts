import { createHash } from 'node:crypto'
import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, readFile, rename, rm } from 'node:fs/promises'
import { homedir } from 'node:os'
import { dirname, join } from 'node:path'
import { runCommand } from './command.ts'
import { LauncherError } from './errors.ts'

export const kafkaVersion = '4.3.1'

const pomPath = join(import.meta.dirname, 'kafka', 'pom.xml')
const offlineTimeoutMs = 60_000
const downloadTimeoutMs = 300_000

/**
 * The folder with the broker's jars, fetched by Maven on first use and shared by all installations
 * of this user. A folder that exists is complete: it appears by a rename.
 */
export async function provideKafkaJars(progress: (line: string) => void): Promise<string> {
  const pom = await readFile(pomPath)
  const digest = createHash('sha256').update(pom).digest('hex').slice(0, 8)
  const jarsDir = join(cacheDir(), `kafka-${kafkaVersion}-${digest}`)
  if (existsSync(jarsDir)) return jarsDir

  await mkdir(dirname(jarsDir), { recursive: true })
  const partDir = await mkdtemp(`${jarsDir}.part-`)
  try {
    await fetchJars(partDir, progress)
    await rename(partDir, jarsDir)
  } catch (error) {
    // Another process that finished first leaves the same jars there.
    if (!existsSync(jarsDir)) throw error
  } finally {
    await rm(partDir, { recursive: true, force: true })
  }
  return jarsDir
}

async function fetchJars(intoDir: string, progress: (line: string) => void): Promise<void> {
  const copy = ['-q', '-B', '-f', pomPath, 'dependency:copy-dependencies'] as const
  const where = ['-DincludeScope=runtime', `-DoutputDirectory=${intoDir}`] as const
  // Offline first: what is in the local Maven repository needs no network at all.
  const offline = await runCommand(['mvn', '-o', ...copy, ...where], {
    timeoutMs: offlineTimeoutMs,
  })
  if (offline.code === 0) return
  if (!offline.found) {
    throw new LauncherError(
      'missing_maven',
      'The local Kafka is fetched with Maven, and `mvn` was not found in PATH. Install it ' +
        '(Debian, Ubuntu: apt-get install maven; macOS: brew install maven), or set ' +
        'WEIR_KAFKA_BROKERS to a broker of your own.',
    )
  }
  progress(`downloading Kafka ${kafkaVersion} (about 60 MB, once)`)
  const online = await runCommand(['mvn', ...copy, ...where], { timeoutMs: downloadTimeoutMs })
  if (online.code === 0) return
  throw new LauncherError(
    'kafka_download_failed',
    `Maven could not fetch Kafka ${kafkaVersion}; is a Maven repository reachable?\n${online.output}`,
  )
}

function cacheDir(): string {
  return join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'weir')
}
