/**
 * Runs the test suites: `node test/run.ts [files or folders…]`, everything without arguments. Starts
 * one Kafka and one Postgres for the run (or takes those that WEIR_TEST_KAFKA and
 * WEIR_TEST_POSTGRES_ADMIN name), hands their addresses to the test files, and stops them again. They
 * are containers where an engine answers that has their images, else plain processes.
 * Two files run at once, and after them, one by one, those that start a whole system, on ports and in
 * a home of its own; those of test/containers bring their own Kafka and Postgres. Ends with the numbers of the whole run, and of those before it that wrote to
 * the same file WEIR_TEST_TOTALS.
 */
import { spawn } from 'node:child_process'
import { globSync, mkdtempSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { startInfrastructure } from '../deploy/local/infrastructure.ts'
import { findMissingContainers } from './support/container-engine.ts'
import { KAFKA_IMAGE, POSTGRES_IMAGE, startContainers } from './support/containers.ts'
import { addTotals, formatCounts, readCounts, type TestCounts } from './support/test-counts.ts'

const root = join(import.meta.dirname, '..')
process.chdir(root)

/** Of files that share the Kafka and the Postgres of the run. */
const CONCURRENCY = 2

/**
 * Start whole systems, each of which takes both cores: one by one. Two at once, all was done in 22
 * instead of 30 minutes, and what holds times was at the mercy of its neighbour.
 */
const ALONE = [
  'test/e2e/',
  'test/guides/',
  'test/faults/',
  'test/managed/',
  'deploy/',
  'libs/cli/test/',
]

/**
 * Need a container engine: `make test-containers`. One by one: where the containers of two projects
 * start at once, two cores cannot answer all their health checks within their time.
 */
const APART = 'test/containers/'

/** Of a file with all its tests. */
const FILE_MS = 600_000
/** Where nothing is cached, images are built first. */
const APART_FILE_MS = 1_800_000

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
const isApart = (file: string) => file.startsWith(APART)
const isAlone = (file: string) => ALONE.some((prefix) => file.startsWith(prefix))

const counts: TestCounts[] = []

/** Resolves to whether all of them passed. */
async function runTests(
  tests: readonly string[],
  {
    concurrency = CONCURRENCY,
    timeoutMs = FILE_MS,
    env = {},
  }: { concurrency?: number; timeoutMs?: number; env?: NodeJS.ProcessEnv },
): Promise<boolean> {
  if (tests.length === 0) return true
  const countsFile = join(home, `counts-${counts.length}.json`)
  const child = spawn(
    process.execPath,
    [
      '--test',
      `--test-concurrency=${concurrency}`,
      `--test-timeout=${timeoutMs}`,
      ...['--test-reporter=spec', '--test-reporter-destination=stdout'],
      ...['--test-reporter=./test/support/count-reporter.ts'],
      `--test-reporter-destination=${countsFile}`,
      ...tests,
    ],
    { stdio: 'inherit', env: { ...process.env, ...env } },
  )
  const code = await new Promise((resolve) => {
    child.once('exit', resolve)
  })
  counts.push(readCounts(countsFile))
  return code === 0
}

/** The suites that need a Kafka and a Postgres. */
async function runWithInfrastructure(tests: readonly string[]): Promise<boolean> {
  if (tests.length === 0) return true
  const given = process.env.WEIR_TEST_KAFKA !== undefined
  const infrastructure = given ? undefined : await startKafkaAndPostgres()
  try {
    const env = {
      ...(infrastructure !== undefined && {
        WEIR_TEST_KAFKA: infrastructure.kafka.brokers,
        WEIR_TEST_POSTGRES_ADMIN: infrastructure.postgres.url,
      }),
      WEIR_LOG_LEVEL: process.env.WEIR_LOG_LEVEL ?? 'error',
      // More than half of what a start of control takes is compiling: each system would do it anew.
      NODE_COMPILE_CACHE: process.env.NODE_COMPILE_CACHE || join(home, 'compiled'),
    }
    const together = tests.filter((file) => !isAlone(file))
    const isMost = await runTests(together, { env })
    const isRest = await runTests(tests.filter(isAlone), { concurrency: 1, env })
    return isMost && isRest
  } finally {
    await infrastructure?.stop()
  }
}

async function startKafkaAndPostgres() {
  const missing = await findMissingContainers([KAFKA_IMAGE, POSTGRES_IMAGE])
  const source = missing === undefined ? 'containers' : `plain processes: ${missing}`
  process.stderr.write(`test: Kafka and Postgres are ${source}\n`)
  return missing === undefined ? startContainers() : startInfrastructure({ home })
}

const home = mkdtempSync(join(tmpdir(), 'weir-test-'))
process.exitCode = 1
try {
  const isMost = await runWithInfrastructure(files.filter((file) => !isApart(file)))
  const isRest = await runTests(files.filter(isApart), { concurrency: 1, timeoutMs: APART_FILE_MS })
  console.log(formatCounts(addTotals(process.env.WEIR_TEST_TOTALS, counts)))
  if (isMost && isRest) process.exitCode = 0
} finally {
  rmSync(home, { recursive: true, force: true })
}
