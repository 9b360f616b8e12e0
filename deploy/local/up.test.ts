import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { askHolder } from './home-lock.ts'
import { findLeftovers } from './leftovers.ts'
import { type RunFile, readRunFile, runFilePath } from './run-file.ts'
import { createTopic, listTopics } from './test-kafka.ts'
import { queryPostgres } from './test-postgres.ts'
import { afterTest, isAlive, makeTestHome } from './test-support.ts'
import { waitUntil } from './wait.ts'

type Outcome = { readonly code: number | null; readonly stdout: string; readonly stderr: string }

function start(home: string, argv: string[], env: NodeJS.ProcessEnv = {}): ChildProcess {
  const [script = '', ...args] = argv
  const inherited = { ...process.env }
  for (const name of ['WEIR_KAFKA_BROKERS', 'WEIR_POSTGRES_URL', 'WEIR_PORT'])
    delete inherited[name]
  return spawn(process.execPath, [join(import.meta.dirname, script), ...args], {
    env: { ...inherited, ...env, WEIR_HOME: home },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
}

async function run(home: string, argv: string[], env: NodeJS.ProcessEnv = {}): Promise<Outcome> {
  const child = start(home, argv, env)
  const output = { stdout: '', stderr: '' }
  child.stdout?.on('data', (chunk) => {
    output.stdout += chunk
  })
  child.stderr?.on('data', (chunk) => {
    output.stderr += chunk
  })
  const [code] = await once(child, 'close')
  return { code, ...output }
}

function makeHome(t: TestContext): string {
  const home = makeTestHome(t)
  afterTest(t, () => run(home, ['down.ts']))
  return home
}

function mustReadRun(home: string): RunFile {
  const file = readRunFile(home)
  assert.ok(file, `${home} has a run.json`)
  return file
}

test('up twice prints the same, down twice is fine, data stays', async (t) => {
  const home = makeHome(t)
  const first = await run(home, ['up.ts', '--only=postgres'])
  assert.equal(first.code, 0, first.stderr)
  const before = mustReadRun(home)
  await queryPostgres(before.postgres ?? '', 'create table kept as select 42 as answer')

  const second = await run(home, ['up.ts', '--only=postgres'])
  assert.deepEqual([second.code, second.stdout], [0, first.stdout])
  assert.match(second.stderr, /already up/)
  assert.deepEqual(mustReadRun(home), before)

  const more = await run(home, ['up.ts', '--only=kafka,postgres'])
  assert.equal(more.code, 1)
  assert.match(more.stderr, /only postgres is up/)

  assert.equal((await run(home, ['down.ts'])).code, 0)
  assert.deepEqual(findLeftovers(home), [])
  assert.equal(existsSync(runFilePath(home)), false)
  const again = await run(home, ['down.ts'])
  assert.deepEqual([again.code, again.stderr], [0, 'weir: nothing is running\n'])

  assert.equal((await run(home, ['up.ts', '--only=postgres'])).code, 0)
  const rows = await queryPostgres(mustReadRun(home).postgres ?? '', 'select answer from kept')
  assert.deepEqual(rows, [{ answer: 42 }])
})

test('two homes run side by side', async (t) => {
  const homes = [makeHome(t), makeHome(t)]
  const outcomes = await Promise.all(homes.map((home) => run(home, ['up.ts', '--only=postgres'])))
  assert.deepEqual(
    outcomes.map(({ code }) => code),
    [0, 0],
  )
  const [one, two] = homes.map(mustReadRun)
  assert.notEqual(one?.postgres, two?.postgres)
  assert.equal((await run(homes[0] ?? '', ['down.ts'])).code, 0)
  assert.deepEqual(await queryPostgres(two?.postgres ?? '', 'select 1 as one'), [{ one: 1 }])
})

test('of two that start one home at once, one starts it and both succeed', async (t) => {
  const home = makeHome(t)
  const both = await Promise.all([1, 2].map(() => run(home, ['up.ts', '--only=postgres'])))
  assert.deepEqual(
    both.map(({ code }) => code),
    [0, 0],
    both.map(({ stderr }) => stderr).join('\n'),
  )
  assert.equal(both[0]?.stdout, both[1]?.stdout)
})

test('Ctrl-C in the foreground stops everything', async (t) => {
  const home = makeHome(t)
  const child = start(home, ['up.ts', '--only=kafka,postgres', '--foreground'])
  await once(child.stdout ?? child, 'data')
  const pids = Object.values(mustReadRun(home).pids)
  assert.equal(pids.length, 2)
  child.kill('SIGINT')
  const [code] = await once(child, 'exit')
  assert.equal(code, 0)
  assert.deepEqual(pids.filter(isAlive), [])
  assert.deepEqual(findLeftovers(home), [])
  assert.equal(existsSync(runFilePath(home)), false)
})

test('Ctrl-C while it starts leaves nothing', async (t) => {
  const home = makeHome(t)
  const child = start(home, ['up.ts', '--only=kafka,postgres'])
  await once(child.stderr ?? child, 'data')
  child.kill('SIGINT')
  const [code] = await once(child, 'exit')
  assert.equal(code, 1)
  assert.deepEqual(findLeftovers(home), [])
  assert.equal(await askHolder(home), undefined)
})

test('where there is no Jaeger, up says so and how to get one, and goes on', async (t) => {
  const home = makeHome(t)
  const withoutJaeger = (process.env.PATH ?? '')
    .split(':')
    .filter((folder) => !existsSync(join(folder, 'jaeger')))
    .join(':')
  const env = { PATH: withoutJaeger, WEIR_JAEGER_BIN: '', WEIR_OTLP_URL: '' }
  const child = start(home, ['up.ts'], env)
  let said = ''
  child.stderr?.on('data', (chunk) => {
    said += chunk
  })
  const isStarting = (): boolean => /starting (?:Kafka|Postgres)/.test(said)
  assert.ok(await waitUntil(isStarting, { timeoutMs: 60_000 }), said)
  child.kill('SIGINT')
  await once(child, 'exit')
  const lines = said.split('\n').filter((line) => line.includes('Jaeger'))
  assert.equal(lines.length, 1, said)
  assert.match(lines[0] ?? '', /not traced: .*PATH.*WEIR_JAEGER_BIN.*docs\/guides\/operating\.md/)
})

test('after a kill -9 of the supervisor the next up stops what is left and goes on with the data', async (t) => {
  const home = makeHome(t)
  await run(home, ['up.ts', '--only=postgres'])
  const before = mustReadRun(home)
  await queryPostgres(before.postgres ?? '', 'create table kept as select 42 as answer')
  process.kill(before.supervisorPid, 'SIGKILL')
  assert.ok(await waitUntil(async () => !(await askHolder(home)), { timeoutMs: 5_000 }))
  assert.ok(isAlive(before.pids.postgres ?? 0))

  const next = await run(home, ['up.ts', '--only=postgres'])
  assert.equal(next.code, 0, next.stderr)
  assert.match(next.stderr, /stopped \d+ processes that an earlier run had left behind/)
  assert.equal(isAlive(before.pids.postgres ?? 0), false)
  const rows = await queryPostgres(mustReadRun(home).postgres ?? '', 'select answer from kept')
  assert.deepEqual(rows, [{ answer: 42 }])
})

test('down stops everything even when the home was removed under it', async (t) => {
  const home = makeHome(t)
  await run(home, ['up.ts', '--only=kafka,postgres'])
  const pids = Object.values(mustReadRun(home).pids)
  rmSync(home, { recursive: true })
  const down = await run(home, ['down.ts'])
  assert.equal(down.code, 0, down.stderr)
  assert.deepEqual(pids.filter(isAlive), [])
  assert.deepEqual(findLeftovers(home), [])
})

test('Kafka and Postgres come back on the same ports with their data after a kill -9', async (t) => {
  const home = makeHome(t)
  await run(home, ['up.ts', '--only=kafka,postgres'])
  const before = mustReadRun(home)
  const { kafka = '', postgres = '' } = before
  await createTopic(kafka, 'kept')
  await queryPostgres(postgres, 'create table kept as select 42 as answer')
  for (const pid of Object.values(before.pids)) process.kill(pid, 'SIGKILL')

  const keepsTopic = async (): Promise<boolean> => (await listTopics(kafka)).includes('kept')
  const keepsRow = async (): Promise<boolean> =>
    (await queryPostgres(postgres, 'select answer from kept'))[0]?.answer === 42
  assert.ok(await waitUntil(keepsTopic, { timeoutMs: 60_000 }))
  assert.ok(await waitUntil(keepsRow, { timeoutMs: 30_000 }))
  const after = mustReadRun(home)
  assert.deepEqual([after.kafka, after.postgres], [kafka, postgres])
  assert.ok(after.pids.kafka && after.pids.kafka !== before.pids.kafka)
  assert.ok(after.pids.postgres && after.pids.postgres !== before.pids.postgres)
  assert.match(
    readFileSync(join(home, 'logs', 'supervisor.log'), 'utf8'),
    /kafka ended \(SIGKILL\)/,
  )
})

test('a missing program is named with what to install', async (t) => {
  const home = makeHome(t)
  const only = (name: string, text: string): NodeJS.ProcessEnv => {
    const dir = mkdtempSync(join(home, 'programs-'))
    writeFileSync(join(dir, name), `#!/bin/sh\n${text}\n`, { mode: 0o755 })
    return { PATH: `${dir}:/nowhere`, JAVA_HOME: '', XDG_CACHE_HOME: join(home, 'cache') }
  }
  const expectRefusal = async (env: NodeJS.ProcessEnv, message: RegExp): Promise<void> => {
    const outcome = await run(home, ['up.ts', '--only=kafka'], env)
    assert.deepEqual([outcome.code, outcome.stdout], [1, ''])
    assert.match(outcome.stderr, message)
  }
  const java = (version: string): string => `echo 'openjdk version "${version}"' >&2`
  await expectRefusal(only('other', ''), /`java` was not found in PATH\. Install Java 17 or newer/)
  await expectRefusal(only('java', java('11.0.2')), /Java 17 or newer; java answered:.*11\.0\.2/s)
  await expectRefusal(only('java', java('1.8.0_392')), /Java 17 or newer; java answered/)
  await expectRefusal(only('java', java('21')), /`mvn` was not found in PATH\. Install it/)
  assert.equal(await askHolder(home), undefined)
})
