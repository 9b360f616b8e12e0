import { join } from 'node:path'
import { runCommand } from './command.ts'
import { LauncherError } from './errors.ts'

const javaMajorMin = 17

const remedy =
  `Install Java ${javaMajorMin} or newer (Debian, Ubuntu: apt-get install openjdk-17-jre-headless; ` +
  'macOS: brew install openjdk@17), or set WEIR_KAFKA_BROKERS to a broker of your own.'

/** The `java` program to run Kafka with, from JAVA_HOME or PATH. Fails with `missing_java`. */
export async function findJava(): Promise<string> {
  const javaHome = process.env.JAVA_HOME
  const java = javaHome ? join(javaHome, 'bin', 'java') : 'java'
  const answer = await runCommand([java, '-version'], { timeoutMs: 30_000 })
  if (!answer.found) {
    const where = javaHome ? `in JAVA_HOME (${javaHome})` : 'in PATH'
    throw new LauncherError(
      'missing_java',
      `The local Kafka needs Java, and \`java\` was not found ${where}. ${remedy}`,
    )
  }
  const version = /version "(?<major>\d+)(?:\.(?<minor>\d+))?/.exec(answer.output)?.groups
  // Java 8 and older call themselves 1.8 and so on.
  const major = Number(version?.major === '1' ? version.minor : version?.major)
  if (answer.code === 0 && major >= javaMajorMin) return java
  throw new LauncherError(
    'missing_java',
    `The local Kafka needs Java ${javaMajorMin} or newer; ${java} answered:\n${answer.output.trim()}\n${remedy}`,
  )
}
