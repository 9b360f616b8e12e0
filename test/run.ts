/**
 * Runs the test suites: `node test/run.ts [files or folders…]`, everything without arguments. Starts
 * one Kafka and one Postgres for the run (or takes those that WEIR_TEST_KAFKA and
 * WEIR_TEST_POSTGRES_ADMIN name), hands their addresses to the test files, and stops them again. They
 * are containers where an engine answers that has their images, else plain processes.
 * The suites that start whole systems run one after the other, after the others.
 */
import { spawn } from 'node:child_process'
import { globSync, mkdtempSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { startInfrastructure } from '../deploy/local/infrastructure.ts'
import { findMissingContainers } from './support/container-engine.ts'
import { KAFKA_IMAGE, POSTGRES_IMAGE, startContainers } from './support/containers.ts'

const root = join(import.meta.dirname, '..')
process.chdir(root)

/** Each takes both cores for itself. */
const ALONE = ['test/e2e/', 'test/faults/', 'deploy/', 'libs/cli/test/']

/** Needs a container engine: `make test-containers`. */
const APART = 'test/containers/'

const wanted = process.argv.slice(2)
const isIgnored = (path: string) => path.includes('node_modules')
const all = globSync('{libs,services,deploy,test}/**/*.test.ts', { exclude: isIgnored }).sort()
const files =
  wanted.length === 0
    ? all.filter((file) => !file.startsWith(APART))
    : wanted.flatMap((path) =>
        statSync(path).isDirectory()
          ? all.filter((file) => file.startsWith(join(path, '/')))
          : [path],
      )
const isAlone = (file: string) => ALONE.some((prefix) => file.startsWith(prefix))

function runTests(tests: string[], concurrency: number, env: NodeJS.ProcessEnv): Promise<number> {
  if (tests.length === 0) return Promise.resolve(0)
  const child = spawn(
    process.execPath,
    ['--test', `--test-concurrency=${concurrency}`, '--test-timeout=600000', ...tests],
    { stdio: 'inherit', env },
  )
  return new Promise((resolve) => {
    child.once('exit', (code) => resolve(code ?? 1))
  })
}

async function startKafkaAndPostgres() {
  const missing = await findMissingContainers([KAFKA_IMAGE, POSTGRES_IMAGE])
  const source = missing === undefined ? 'containers' : `plain processes: ${missing}`
  process.stderr.write(`test: Kafka and Postgres are ${source}\n`)
  return missing === undefined ? startContainers() : startInfrastructure({ home })
}

const home = mkdtempSync(join(tmpdir(), 'weir-test-'))
let failed = true
try {
  const given = process.env.WEIR_TEST_KAFKA !== undefined
  const infrastructure = given ? undefined : await startKafkaAndPostgres()
  try {
    const env = {
      ...process.env,
      ...(infrastructure !== undefined && {
        WEIR_TEST_KAFKA: infrastructure.kafka.brokers,
        WEIR_TEST_POSTGRES_ADMIN: infrastructure.postgres.url,
      }),
      WEIR_LOG_LEVEL: process.env.WEIR_LOG_LEVEL ?? 'error',
    }
    const shared = await runTests(
      files.filter((file) => !isAlone(file)),
      2,
      env,
    )
    const alone = await runTests(files.filter(isAlone), 1, env)
    failed = shared !== 0 || alone !== 0
  } finally {
    await infrastructure?.stop()
  }
} finally {
  rmSync(home, { recursive: true, force: true })
}
process.exitCode = failed ? 1 : 0
